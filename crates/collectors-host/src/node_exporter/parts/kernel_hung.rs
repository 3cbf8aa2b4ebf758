//! Tasks that the kernel found hanging, from `/proc/sys/kernel/hung_task_detect_count`.

use super::super::part::{Part, PartError, ProcFile, Run};
use super::super::settings::Setup;

struct KernelHung(ProcFile);

pub(in super::super) fn part(setup: &Setup) -> Box<dyn Part> {
    let file = setup.proc("sys/kernel/hung_task_detect_count");
    Box::new(KernelHung(ProcFile::new(file)))
}

impl Part for KernelHung {
    fn collect(&mut self, run: &mut Run<'_>) -> Result<(), PartError> {
        let count = self.0.number()?;
        let help = "Total number of tasks that have been detected as hung.";
        run.out
            .counter("node_kernel_hung_tasks_total", help, &[], count);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::testing::{Host, collect};

    #[test]
    fn the_count_is_a_total() {
        let host = Host::with(&[("proc/sys/kernel/hung_task_detect_count", "2\n")]);
        let expected = ["node_kernel_hung_tasks_total 2"];
        assert_eq!(collect(&host, "kernel_hung", "").unwrap(), expected);
    }
}
