use super::super::super::testing::{Host, collect};

#[test]
fn sensors_are_in_base_units_with_the_names_of_their_elements() {
    let host = Host::below(
        "sys/class/hwmon/hwmon0",
        &[
            ("name", "coretemp\n"),
            ("temp1_input", "55000\n"),
            ("temp1_crit_alarm", "0\n"),
            ("temp1_label", "Package id 0\n"),
            ("temp2_type", "4\n"),
            ("in0_max", "1744\n"),
            ("fan1_input", "1200\n"),
            ("fan1_alarm", "1\n"),
            ("fan1_beep", "1\n"),
            ("fan1_div", "8\n"),
            ("pwm1", "255\n"),
            ("power1_average", "5000000\n"),
            ("power1_average_interval", "1000\n"),
            ("energy1_input", "3000000\n"),
            ("curr1_input", "1500\n"),
            ("humidity1_input", "500000\n"),
            ("freq1_input", "214000000\n"),
            ("freq1_label", "sclk\n"),
            ("freq2_input", "1\n"),
            ("beep_enable", "1\n"),
            ("update_interval", "100\n"),
            ("vrm", "120\n"),
            ("uevent", "x\n"),
            ("temp3_input", "broken\n"),
        ],
    );
    let lines = collect(&host, "hwmon", "").unwrap();
    let series = |name: &str, sensor: &str, value: &str| {
        format!("node_hwmon_{name}{{chip=\"coretemp\", sensor=\"{sensor}\"}} {value}")
    };
    let mut expected = vec![
        "node_hwmon_chip_names{chip=\"coretemp\", chip_name=\"coretemp\"} 1".to_owned(),
        "node_hwmon_sensor_label{chip=\"coretemp\", label=\"Package id 0\", sensor=\"temp1\"} 1"
            .to_owned(),
        "node_hwmon_sensor_label{chip=\"coretemp\", label=\"sclk\", sensor=\"freq1\"} 1".to_owned(),
        series("temp_celsius", "temp1", "55"),
        series("temp_crit_alarm_celsius", "temp1", "0"),
        series("temp_type", "temp2", "4"),
        series("in_max_volts", "in0", "1.744"),
        series("fan_rpm", "fan1", "1200"),
        series("fan_alarm", "fan1", "1"),
        series("fan_beep_enabled", "fan1", "1"),
        series("fan_div", "fan1", "8"),
        series("pwm", "pwm1", "255"),
        series("power_average_watt", "power1", "5"),
        series("power_average_interval_seconds", "power1", "1"),
        series("energy_joule_total", "energy1", "3"),
        series("curr_amps", "curr1", "1.5"),
        series("humidity", "humidity1", "0.5"),
        series("freq_freq_mhz", "sclk", "214"),
        series("beep_enabled", "beep_enable0", "1"),
        series("update_interval_seconds", "update_interval0", "0.1"),
        series("voltage_regulator_version", "vrm0", "120"),
    ];
    let mut found = lines;
    expected.sort();
    found.sort();
    assert_eq!(found, expected);
}

#[test]
fn chips_of_one_device_have_names_of_their_own() {
    let host = Host::with(&[
        ("sys/devices/pci/0000:01/name", ""),
        ("sys/class/hwmon/hwmon0/name", "amdgpu\n"),
        ("sys/class/hwmon/hwmon1/name", "fans\n"),
        ("sys/class/hwmon/hwmon2/name", "fans\n"),
        ("sys/class/hwmon/hwmon3/name", "\n"),
    ]);
    for monitor in ["hwmon0", "hwmon1", "hwmon2"] {
        host.link(
            &format!("sys/class/hwmon/{monitor}/device"),
            "../../../devices/pci/0000:01",
        );
        host.write(&format!("sys/class/hwmon/{monitor}/fan1_input"), "1\n");
    }
    host.write("sys/class/hwmon/hwmon3/fan1_input", "1\n");
    let lines = collect(&host, "hwmon", "hwmon: {chip_exclude: hwmon2}").unwrap();
    let fans: Vec<_> = lines
        .iter()
        .filter(|line| line.starts_with("node_hwmon_fan"))
        .collect();
    assert_eq!(
        fans,
        [
            "node_hwmon_fan_rpm{chip=\"pci_0000:01_amdgpu\", sensor=\"fan1\"} 1",
            "node_hwmon_fan_rpm{chip=\"pci_0000:01_hwmon1\", sensor=\"fan1\"} 1",
            "node_hwmon_fan_rpm{chip=\"hwmon3\", sensor=\"fan1\"} 1",
        ]
    );
}
