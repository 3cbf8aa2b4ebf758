//! File handles of the host, from `/proc/sys/fs/file-nr`.

use super::super::part::{Part, PartError, ProcFile, Run};
use super::super::settings::Setup;
use crate::system::parse::{BadLines, descriptors};

struct Filefd(ProcFile);

pub(in super::super) fn part(setup: &Setup) -> Box<dyn Part> {
    Box::new(Filefd(ProcFile::new(setup.proc("sys/fs/file-nr"))))
}

impl Part for Filefd {
    fn collect(&mut self, run: &mut Run<'_>) -> Result<(), PartError> {
        let text = self.0.required()?;
        let handles = descriptors(text.as_bytes(), &mut BadLines::default())
            .ok_or_else(|| text.malformed("three numbers", &text))?;
        let help = "File descriptor statistics: allocated.";
        run.out
            .gauge("node_filefd_allocated", help, &[], handles.open as f64);
        let help = "File descriptor statistics: maximum.";
        run.out
            .gauge("node_filefd_maximum", help, &[], handles.max as f64);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::testing::{Host, collect};

    #[test]
    fn handles_are_the_first_and_the_last_number() {
        let host = Host::with(&[("proc/sys/fs/file-nr", "1024\t0\t1631329\n")]);
        let expected = ["node_filefd_allocated 1024", "node_filefd_maximum 1631329"];
        assert_eq!(collect(&host, "filefd", "").unwrap(), expected);
    }
}
