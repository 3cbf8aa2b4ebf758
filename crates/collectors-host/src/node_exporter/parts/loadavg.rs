//! Load averages, from `/proc/loadavg`.

use super::super::part::{Part, PartError, ProcFile, Run};
use super::super::settings::Setup;
use crate::system::parse::{BadLines, load};

struct Loadavg(ProcFile);

pub(in super::super) fn part(setup: &Setup) -> Box<dyn Part> {
    Box::new(Loadavg(ProcFile::new(setup.proc("loadavg"))))
}

impl Part for Loadavg {
    fn collect(&mut self, run: &mut Run<'_>) -> Result<(), PartError> {
        let text = self.0.required()?;
        let loads = load(text.as_bytes(), &mut BadLines::default())
            .ok_or_else(|| text.malformed("three load averages, tasks and a pid", &text))?;
        for (minutes, load) in ["1", "5", "15"].iter().zip(loads) {
            let help = format!("{minutes}m load average.");
            run.out
                .gauge(&format!("node_load{minutes}"), &help, &[], load);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::testing::{Host, collect};

    #[test]
    fn the_averages_have_their_minutes() {
        let host = Host::with(&[("proc/loadavg", "0.21 0.37 0.39 1/719 19737\n")]);
        let expected = ["node_load1 0.21", "node_load5 0.37", "node_load15 0.39"];
        assert_eq!(collect(&host, "loadavg", "").unwrap(), expected);
        host.write("proc/loadavg", "0.21 0.37\n");
        assert!(collect(&host, "loadavg", "").is_err());
    }
}
