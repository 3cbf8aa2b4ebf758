//! Names of the system, as `uname` has them.

use rustix::system::uname;

use super::super::part::{Part, PartError, Run};
use super::super::settings::Setup;

struct Uname;

pub(in super::super) fn part(_: &Setup) -> Box<dyn Part> {
    Box::new(Uname)
}

impl Part for Uname {
    fn collect(&mut self, run: &mut Run<'_>) -> Result<(), PartError> {
        let names = uname();
        let labels = [
            ("sysname", names.sysname()),
            ("release", names.release()),
            ("version", names.version()),
            ("machine", names.machine()),
            ("nodename", names.nodename()),
            ("domainname", names.domainname()),
        ]
        .map(|(label, text)| (label, text.to_string_lossy()));
        let labels: Vec<(&str, &str)> = labels
            .iter()
            .map(|(label, text)| (*label, &**text))
            .collect();
        let help = "Labeled system information as provided by the uname system call.";
        run.out.gauge("node_uname_info", help, &labels, 1.0);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::testing::{Host, collect};

    #[test]
    fn the_kernel_has_a_name() {
        let lines = collect(&Host::with(&[]), "uname", "").unwrap();
        assert!(
            lines.len() == 1 && lines[0].contains("sysname=\"Linux\""),
            "{lines:?}"
        );
    }
}
