//! Memory, from `/proc/meminfo`.

use super::super::part::{Part, PartError, ProcFile, Run, total};
use super::super::settings::Setup;

struct Meminfo(ProcFile);

pub(in super::super) fn part(setup: &Setup) -> Box<dyn Part> {
    Box::new(Meminfo(ProcFile::new(setup.proc("meminfo"))))
}

impl Part for Meminfo {
    fn collect(&mut self, run: &mut Run<'_>) -> Result<(), PartError> {
        let text = self.0.required()?;
        let mut name = String::new();
        let mut count = 0;
        for line in text.lines() {
            let Some((field, value)) = parse(line) else {
                continue;
            };
            name.clear();
            name.push_str("node_memory_");
            name.extend(field.chars().filter_map(|character| match character {
                '(' => Some('_'),
                ')' => None,
                character => Some(character),
            }));
            let is_size = line.ends_with("kB");
            if is_size {
                name.push_str("_bytes");
            }
            let value = if is_size { value * 1024.0 } else { value };
            let help = "A field of /proc/meminfo.";
            run.out.gauge(&name, help, &[], value);
            count += 1;
        }
        match count {
            0 => Err(text.malformed("sizes", &text)),
            _ => Ok(()),
        }
    }
}

/// Parses `Active(anon):  2068484 kB`, or a line without the unit. A truncated line has no line end before the unit.
fn parse(line: &str) -> Option<(&str, f64)> {
    let (field, rest) = line.split_once(':')?;
    let value = rest.split_whitespace().next()?;
    Some((field, total(value)?))
}

#[cfg(test)]
mod tests {
    use super::super::super::testing::{Host, collect};

    #[test]
    fn fields_keep_their_names_and_sizes_are_in_bytes() {
        let meminfo = "MemTotal:        3742148 kB\nActive(anon):    2068484 kB\nHugePages_Total:       7\nBroken: x kB\n";
        let host = Host::with(&[("proc/meminfo", meminfo)]);
        let expected = [
            "node_memory_MemTotal_bytes 3831959552",
            "node_memory_Active_anon_bytes 2118127616",
            "node_memory_HugePages_Total 7",
        ];
        assert_eq!(collect(&host, "meminfo", "").unwrap(), expected);
        assert!(collect(&Host::with(&[]), "meminfo", "").is_err());
    }
}
