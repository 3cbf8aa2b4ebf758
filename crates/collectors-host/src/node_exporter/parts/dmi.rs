//! Names and versions of the machine's parts, from `/sys/class/dmi/id`.

use std::path::PathBuf;

use super::super::directory::Directory;
use super::super::part::{Part, PartError, Run};
use super::super::settings::Setup;

/// Labels, which are the names of the files, except for the last one.
const LABELS: [&str; 20] = [
    "bios_date",
    "bios_release",
    "bios_vendor",
    "bios_version",
    "board_asset_tag",
    "board_name",
    "board_serial",
    "board_vendor",
    "board_version",
    "chassis_asset_tag",
    "chassis_serial",
    "chassis_vendor",
    "chassis_version",
    "product_family",
    "product_name",
    "product_serial",
    "product_sku",
    "product_uuid",
    "product_version",
    "system_vendor",
];

struct Dmi {
    directory: PathBuf,
    /// Labels, which are read once: they change with a boot.
    labels: Option<Vec<(&'static str, String)>>,
}

pub(in super::super) fn part(setup: &Setup) -> Box<dyn Part> {
    Box::new(Dmi {
        directory: setup.sys("class/dmi/id"),
        labels: None,
    })
}

impl Part for Dmi {
    fn collect(&mut self, run: &mut Run<'_>) -> Result<(), PartError> {
        if self.labels.is_none() {
            let directory = Directory::optional(self.directory.clone())?;
            let labels = LABELS.iter().filter_map(|label| {
                let file = if *label == "system_vendor" {
                    "sys_vendor"
                } else {
                    label
                };
                Some((*label, directory.text(file)?))
            });
            self.labels = Some(labels.collect());
        }
        let labels = self.labels.as_deref().unwrap_or_default();
        if labels.is_empty() {
            return Err(PartError::NoData);
        }
        let labels: Vec<(&str, &str)> = labels
            .iter()
            .map(|(label, text)| (*label, text.as_str()))
            .collect();
        let help = "A metric with a constant '1' value labeled by bios_date, bios_release, bios_vendor, bios_version, \
            board_asset_tag, board_name, board_serial, board_vendor, board_version, chassis_asset_tag, \
            chassis_serial, chassis_vendor, chassis_version, product_family, product_name, product_serial, \
            product_sku, product_uuid, product_version, system_vendor if provided by DMI.";
        run.out.gauge("node_dmi_info", help, &labels, 1.0);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::part::PartError;
    use super::super::super::testing::{Host, collect};

    #[test]
    fn labels_are_those_that_can_be_read() {
        let host = Host::with(&[
            ("sys/class/dmi/id/bios_vendor", "Dell Inc.\n"),
            ("sys/class/dmi/id/sys_vendor", "Dell Inc.\n"),
            ("sys/class/dmi/id/modalias", "x\n"),
        ]);
        let expected = ["node_dmi_info{bios_vendor=\"Dell Inc.\", system_vendor=\"Dell Inc.\"} 1"];
        assert_eq!(collect(&host, "dmi", "").unwrap(), expected);
        let none = collect(&Host::with(&[]), "dmi", "");
        assert_eq!(none.unwrap_err(), PartError::NoData);
    }
}
