use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::sync::mpsc;

use bellwether_core::Now;
use tempfile::TempDir;

use super::*;
use crate::entry::testing::resolve_entry;
use bellwether_collector::testing::{Collected, collect};

/// A host with a program in the place of `nvidia-smi`, and files of /sys.
struct Host(TempDir);

impl Host {
    fn with(files: &[(&str, &str)]) -> Self {
        let host = Self(TempDir::new().unwrap());
        for (path, content) in files {
            let path = host.0.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, content).unwrap();
        }
        host
    }

    /// Adds the program as a script of the shell.
    fn program(self, script: &str) -> Self {
        let path = self.0.path().join("nvidia-smi");
        fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
        fs::set_permissions(&path, PermissionsExt::from_mode(0o755)).unwrap();
        self
    }

    fn collector(&self, required: Option<Vec<GpuVendor>>) -> GpuCollector {
        GpuCollector {
            required,
            program: self.0.path().join("nvidia-smi").display().to_string(),
            sysfs: self.0.path().to_owned(),
            timeout: Duration::from_secs(5),
            output_limit: 10_000,
            reading: None,
        }
    }

    async fn collect(&self, required: Option<Vec<GpuVendor>>) -> Collected {
        self.collect_with(&mut self.collector(required)).await
    }

    async fn collect_with(&self, collector: &mut GpuCollector) -> Collected {
        let mut collected = collect(collector, Now::default()).await;
        let folder = self.0.path().display().to_string();
        if let Some((_, detail)) = &mut collected.failure {
            *detail = detail.replace(&folder, "HOST");
        }
        collected
    }
}

/// Files of a card of AMD, in the form of Linux 6.12, written by hand: the tests run without a card.
const AMD: [(&str, &str); 14] = [
    ("class/drm/card1/device/vendor", "0x1002\n"),
    ("class/drm/card1/device/gpu_busy_percent", "42\n"),
    (
        "class/drm/card1/device/mem_info_vram_total",
        "17163091968\n",
    ),
    ("class/drm/card1/device/mem_info_vram_used", "1073741824\n"),
    ("class/drm/card1/device/mem_info_vram_vendor", "samsung\n"),
    ("class/drm/card1/device/unique_id", "0123456789abcdef\n"),
    (
        "class/drm/card1/device/hwmon/hwmon3/power1_input",
        "95000000\n",
    ),
    ("class/drm/card1/device/hwmon/hwmon3/fan1_input", "1200\n"),
    ("class/drm/card1/device/hwmon/hwmon3/temp1_input", "51500\n"),
    ("class/drm/card1/device/hwmon/hwmon3/temp1_label", "edge\n"),
    ("class/drm/card1/device/hwmon/hwmon3/temp2_input", "60000\n"),
    ("class/drm/card1-DP-1/status", "connected\n"),
    ("class/drm/card0/device/vendor", "0x8086\n"),
    ("class/drm/version", "drm 1.1.0\n"),
];

#[tokio::test]
async fn a_card_of_amd_has_its_files_in_base_units() {
    let collected = Host::with(&AMD).collect(None).await;
    assert_eq!(collected.failure, None);
    let expected = [
        "node_drm_card_info{card=\"card1\", memory_vendor=\"samsung\", unique_id=\"0123456789abcdef\", vendor=\"amd\"} 1",
        "node_drm_gpu_busy_percent{card=\"card1\"} 42",
        "node_drm_memory_vram_size_bytes{card=\"card1\"} 17163091968",
        "node_drm_memory_vram_used_bytes{card=\"card1\"} 1073741824",
        "node_drm_power_watts{card=\"card1\"} 95",
        "node_drm_fan_rpm{card=\"card1\"} 1200",
        "node_drm_temperature_celsius{card=\"card1\", sensor=\"edge\"} 51.5",
        "node_drm_temperature_celsius{card=\"card1\", sensor=\"temp2\"} 60",
    ];
    assert_eq!(collected.lines, expected);
}

/// Prints a line with the name of each property that it is asked for.
const ECHO: &str =
    "[ \"$2\" = --format=csv,noheader,nounits ] && echo \"${1#--query-gpu=}\" | sed 's/,/, /g'";

#[tokio::test]
async fn the_program_is_asked_for_the_properties_that_are_read() {
    let collected = Host::with(&[]).program(ECHO).collect(None).await;
    assert_eq!(collected.failure, None);
    let expected = "nvidia_smi_gpu_info{driver_version=\"driver_version\", index=\"index\", name=\"name\", pci_bus_id=\"pci.bus_id\", uuid=\"uuid\", vbios_version=\"vbios_version\"} 1";
    assert_eq!(collected.lines, [expected]);
}

#[tokio::test]
async fn a_program_that_fails_or_hangs_costs_the_cards_of_nvidia_alone() {
    for (script, reason, expected) in [
        (
            "echo 'Unable to determine the device handle for GPU0: GPU is lost.'; exit 15",
            "exit",
            "HOST/nvidia-smi: exit status 15: Unable to determine the device handle for GPU0: GPU is lost.",
        ),
        ("sleep 1000", "timeout", "HOST/nvidia-smi: killed after "),
        (
            "yes",
            "io",
            "HOST/nvidia-smi: killed, as its output is larger than 10000 bytes",
        ),
        (
            "echo No devices were found",
            "parse",
            "HOST/nvidia-smi: expected a line of properties, found \"No devices were found\"",
        ),
    ] {
        let collected = Host::with(&AMD).program(script).collect(None).await;
        let failure = collected.failure.unwrap();
        assert_eq!(failure.0, reason);
        assert!(failure.1.starts_with(expected), "{failure:?}");
        assert_eq!(collected.lines.len(), 8, "{script}");
    }
}

#[tokio::test]
async fn a_driver_of_amd_that_hangs_holds_one_thread_and_costs_its_cards_alone() {
    let host = Host::with(&AMD).program(ECHO);
    let mut collector = host.collector(None);
    let (driver, hang) = mpsc::channel::<()>();
    let reading = spawn_blocking(move || {
        // Until the driver is dropped.
        let _ = hang.recv();
        Vec::new()
    });
    let id = reading.id();
    collector.reading = Some(reading);
    let collected = host.collect_with(&mut collector).await;
    let late = "HOST/class/drm: the driver does not answer".to_owned();
    assert_eq!(collected.failure, Some(("timeout", late)));
    assert!(collected.lines[0].starts_with("nvidia_smi_gpu_info"));
    assert_eq!(collector.reading.as_ref().map(JoinHandle::id), Some(id));
    drop(driver);
    let collected = host.collect_with(&mut collector).await;
    assert_eq!((collected.failure, collected.lines.len()), (None, 9));
    assert!(collector.reading.is_none());
}

#[tokio::test]
async fn cards_that_must_be_there_are_missed() {
    let host = Host::with(&[]);
    for (required, expected) in [
        (
            None,
            "no graphics card: no HOST/nvidia-smi, and none of AMD in HOST/class/drm",
        ),
        (
            Some(vec![GpuVendor::Amd]),
            "no card of AMD in HOST/class/drm",
        ),
        (
            Some(vec![GpuVendor::Nvidia]),
            "HOST/nvidia-smi: cannot be started: No such file or directory (os error 2)",
        ),
    ] {
        let (_, detail) = host.collect(required).await.failure.unwrap();
        assert_eq!(detail, expected);
    }
    // One that is not wanted is left alone.
    let host = Host::with(&AMD).program("exit 1");
    let collected = host.collect(Some(vec![GpuVendor::Amd])).await;
    assert_eq!((collected.failure, collected.lines.len()), (None, 8));
}

#[test]
fn an_empty_list_of_vendors_is_an_error() {
    let problems = resolve_entry("{name: x, type: gpu, vendors: []}")
        .err()
        .unwrap();
    assert!(problems[0].contains("no vendors"), "{problems:?}");
    assert!(resolve_entry("{name: x, type: gpu, vendors: [amd]}").is_ok());
}
