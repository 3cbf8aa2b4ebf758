//! Entropy of the kernel, from `/proc/sys/kernel/random`.

use super::super::part::{Part, PartError, ProcFile, Run};
use super::super::settings::Setup;

struct Entropy {
    available: ProcFile,
    size: ProcFile,
}

pub(in super::super) fn part(setup: &Setup) -> Box<dyn Part> {
    Box::new(Entropy {
        available: ProcFile::new(setup.proc("sys/kernel/random/entropy_avail")),
        size: ProcFile::new(setup.proc("sys/kernel/random/poolsize")),
    })
}

impl Part for Entropy {
    fn collect(&mut self, run: &mut Run<'_>) -> Result<(), PartError> {
        for (file, name, help) in [
            (
                &mut self.available,
                "node_entropy_available_bits",
                "Bits of available entropy.",
            ),
            (
                &mut self.size,
                "node_entropy_pool_size_bits",
                "Bits of entropy pool.",
            ),
        ] {
            let bits = file.number()?;
            run.out.gauge(name, help, &[], bits);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::part::PartError;
    use super::super::super::testing::{Host, collect};

    #[test]
    fn what_is_garbled_is_named() {
        let host = Host::with(&[
            ("proc/sys/kernel/random/entropy_avail", "256\n"),
            ("proc/sys/kernel/random/poolsize", "many\n"),
        ]);
        let Err(PartError::Failed(text)) = collect(&host, "entropy", "") else {
            panic!("no failure");
        };
        assert!(
            text.ends_with("poolsize: expected a number, found \"many\""),
            "{text}"
        );
        host.write("proc/sys/kernel/random/poolsize", "256\n");
        let expected = [
            "node_entropy_available_bits 256",
            "node_entropy_pool_size_bits 256",
        ];
        assert_eq!(collect(&host, "entropy", "").unwrap(), expected);
    }
}
