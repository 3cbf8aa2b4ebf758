//! Counters of virtual memory, from `/proc/vmstat`.

use super::super::part::{Part, PartError, ProcFile, Run, integer};
use super::super::settings::{Filter, Setup};

struct Vmstat {
    file: ProcFile,
    fields: Filter,
    /// Fields of the file, in their order, and whether they are shown: the filter is asked once.
    known: Vec<(String, bool)>,
}

pub(in super::super) fn part(setup: &Setup) -> Box<dyn Part> {
    Box::new(Vmstat {
        file: ProcFile::new(setup.proc("vmstat")),
        fields: setup.filters.vmstat.clone(),
        known: Vec::new(),
    })
}

impl Part for Vmstat {
    fn collect(&mut self, run: &mut Run<'_>) -> Result<(), PartError> {
        let text = self.file.required()?;
        let lines = text.lines().filter_map(|line| line.split_once(' '));
        for (at, (field, value)) in lines.enumerate() {
            if self.known.get(at).is_none_or(|(known, _)| known != field) {
                self.known.truncate(at);
                self.known
                    .push((field.to_owned(), self.fields.selects(field)));
            }
            let is_shown = self.known.get(at).is_some_and(|(_, is_shown)| *is_shown);
            if is_shown && let Some(value) = integer(value) {
                let name = format!("node_vmstat_{field}");
                let help = format!("/proc/vmstat information field {field}.");
                run.out.untyped(&name, &help, &[], value);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::testing::{Host, collect};

    #[test]
    fn fields_are_those_of_the_expression() {
        let host = Host::with(&[(
            "proc/vmstat",
            "nr_free_pages 977769\npgpgin 7344136\noom_kill 0\npgmajfault 115\nbroken\n",
        )]);
        let expected = [
            "node_vmstat_pgpgin 7344136",
            "node_vmstat_oom_kill 0",
            "node_vmstat_pgmajfault 115",
        ];
        assert_eq!(collect(&host, "vmstat", "").unwrap(), expected);
        let lines = collect(&host, "vmstat", "vmstat: {fields: ^nr_}").unwrap();
        assert_eq!(lines, ["node_vmstat_nr_free_pages 977769"]);
    }
}
