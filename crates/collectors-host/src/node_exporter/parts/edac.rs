//! Memory errors by controller, row and channel, from `/sys/devices/system/edac/mc`.

use std::path::PathBuf;

use super::super::directory::{Directory, numbered};
use super::super::part::{Part, PartError, Run};
use super::super::settings::Setup;

struct Edac(PathBuf);

pub(in super::super) fn part(setup: &Setup) -> Box<dyn Part> {
    Box::new(Edac(setup.sys("devices/system/edac/mc")))
}

impl Part for Edac {
    fn collect(&mut self, run: &mut Run<'_>) -> Result<(), PartError> {
        // A host without it has no memory errors to show, which is a success, as in node_exporter.
        for (name, controller) in numbered(&self.0, "mc").unwrap_or_default() {
            let directory = Directory::optional(self.0.join(name))?;
            push_controller(&directory, &controller, run)?;
            for (name, row) in numbered(directory.path(), "csrow").unwrap_or_default() {
                let row_directory = Directory::optional(directory.path().join(name))?;
                push_row(&row_directory, &controller, &row, run)?;
            }
        }
        Ok(())
    }
}

fn push_controller(
    directory: &Directory,
    controller: &str,
    run: &mut Run<'_>,
) -> Result<(), PartError> {
    let labels = [("controller", controller)];
    let value = directory.required("ce_count")?;
    let help = "Total correctable memory errors.";
    run.out
        .counter("node_edac_correctable_errors_total", help, &labels, value);
    let value = directory.required("ue_count")?;
    let help = "Total uncorrectable memory errors.";
    run.out
        .counter("node_edac_uncorrectable_errors_total", help, &labels, value);
    let unknown = [("controller", controller), ("csrow", "unknown")];
    let correctable = directory.required("ce_noinfo_count")?;
    let uncorrectable = directory.required("ue_noinfo_count")?;
    push_errors(&unknown, correctable, uncorrectable, run);
    Ok(())
}

/// Adds the errors of a row, or those of which the row is unknown.
fn push_errors(labels: &[(&str, &str)], correctable: f64, uncorrectable: f64, run: &mut Run<'_>) {
    let name = "node_edac_csrow_correctable_errors_total";
    let help = "Total correctable memory errors for this csrow.";
    run.out.counter(name, help, labels, correctable);
    let name = "node_edac_csrow_uncorrectable_errors_total";
    let help = "Total uncorrectable memory errors for this csrow.";
    run.out.counter(name, help, labels, uncorrectable);
}

fn push_row(
    directory: &Directory,
    controller: &str,
    row: &str,
    run: &mut Run<'_>,
) -> Result<(), PartError> {
    let labels = [("controller", controller), ("csrow", row)];
    let correctable = directory.required("ce_count")?;
    let uncorrectable = directory.required("ue_count")?;
    push_errors(&labels, correctable, uncorrectable, run);
    for name in directory.entries().unwrap_or_default() {
        let Some(channel) = name
            .strip_prefix("ch")
            .and_then(|name| name.strip_suffix("_ce_count"))
        else {
            continue;
        };
        let label = dimm_label(directory, channel);
        let labels = [
            labels[0],
            labels[1],
            ("channel", channel),
            ("dimm_label", &label),
        ];
        let help = "Total correctable memory errors for this channel.";
        let value = directory.required(&name)?;
        let metric = "node_edac_channel_correctable_errors_total";
        run.out.counter(metric, help, &labels, value);
        if let Some(value) = directory.integer(&format!("ch{channel}_ue_count")) {
            let help = "Total uncorrectable memory errors for this channel.";
            let metric = "node_edac_channel_uncorrectable_errors_total";
            run.out.counter(metric, help, &labels, value);
        }
    }
    Ok(())
}

/// Returns the label of a memory module, such as `CPU_SrcID_0_MC_0_Chan_0_DIMM_0`, as node_exporter writes it.
fn dimm_label(directory: &Directory, channel: &str) -> String {
    match directory.text(&format!("ch{channel}_dimm_label")) {
        None => "unknown".to_owned(),
        Some(label) => label
            .replace('#', "")
            .replace("csrow", "_csrow")
            .replace("channel", "_channel"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::testing::{Host, collect};

    #[test]
    fn errors_are_those_of_controller_row_and_channel() {
        let host = Host::below(
            "sys/devices/system/edac/mc/mc0",
            &[
                ("ce_count", "1\n"),
                ("ue_count", "5\n"),
                ("ce_noinfo_count", "2\n"),
                ("ue_noinfo_count", "6\n"),
                ("csrow0/ce_count", "3\n"),
                ("csrow0/ue_count", "4\n"),
                ("csrow0/ch0_ce_count", "7\n"),
                ("csrow0/ch0_ue_count", "8\n"),
                ("csrow0/ch0_dimm_label", "mc#0csrow#0channel#0\n"),
            ],
        );
        let channel =
            "{channel=\"0\", controller=\"0\", csrow=\"0\", dimm_label=\"mc0_csrow0_channel0\"}";
        let expected = [
            "node_edac_correctable_errors_total{controller=\"0\"} 1".to_owned(),
            "node_edac_uncorrectable_errors_total{controller=\"0\"} 5".to_owned(),
            "node_edac_csrow_correctable_errors_total{controller=\"0\", csrow=\"unknown\"} 2"
                .to_owned(),
            "node_edac_csrow_uncorrectable_errors_total{controller=\"0\", csrow=\"unknown\"} 6"
                .to_owned(),
            "node_edac_csrow_correctable_errors_total{controller=\"0\", csrow=\"0\"} 3".to_owned(),
            "node_edac_csrow_uncorrectable_errors_total{controller=\"0\", csrow=\"0\"} 4"
                .to_owned(),
            format!("node_edac_channel_correctable_errors_total{channel} 7"),
            format!("node_edac_channel_uncorrectable_errors_total{channel} 8"),
        ];
        assert_eq!(collect(&host, "edac", "").unwrap(), expected);
        assert_eq!(collect(&Host::with(&[]), "edac", "").unwrap(), [""; 0]);
    }
}
