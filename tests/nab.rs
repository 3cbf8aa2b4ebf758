//! The scoring of anomaly detection is NAB's own, and the default detector is as good as claimed.

#![allow(clippy::print_stderr)]

#[path = "support/nab.rs"]
mod nab;
#[path = "support/rivals.rs"]
mod rivals;

use nab::{File, Place, Profile};

fn standard() -> Profile {
    Profile {
        name: "standard".into(),
        true_positive: 1.0,
        false_positive: 0.11,
        false_negative: 1.0,
    }
}

/// 100 rows: the first 15 are on probation; windows of rows 40 to 49 and 60 to 79.
fn hundred() -> File {
    let windows = [(40, 49), (60, 79)];
    File {
        family: "made".into(),
        name: "hundred".into(),
        times: (0..100).map(|row| row * 60_000).collect(),
        values: vec![0.0; 100],
        places: nab::places(100, &windows),
        windows: 2,
    }
}

#[test]
fn hits_are_worth_what_they_are_by_hand() {
    // 2 / (1 + e^(5 x)) - 1: 0.986_614_3 for -1, 0.244_918_7 for -0.1, -0.882_926_2 for 5/9,
    // -0.992_297_9 for 10/9, -0.989_695_5 for 20/19.
    let file = hundred();
    for (rows, raw) in [
        (&[][..], -2.0),
        (&[10], -2.0),
        (&[20], -2.0 - 0.11),
        (&[20, 21], -2.0 - 0.22),
        (&[40], 0.0),
        (&[40, 60], 2.0),
        (&[40, 41, 49, 60], 2.0),
        (&[49], -1.0 + 0.248_241_5),
        (&[54], -2.0 - 0.11 * 0.882_926_2),
        (&[59], -2.0 - 0.11 * 0.992_297_9),
        (&[60, 99], -1.0 + 1.0 - 0.11 * 0.989_695_5),
    ] {
        let hits: Vec<bool> = (0..100).map(|row| rows.contains(&row)).collect();
        let score = standard().score(&file, &hits);
        assert!((score.raw - raw).abs() < 1e-6, "{rows:?}: {} not {raw}", score.raw);
        assert_eq!((score.null, score.perfect), (-2.0, 2.0));
    }
    assert_eq!(file.places[14], Place::Probation);
    assert_eq!(nab::places(10_000, &[])[749..751], [Place::Probation, Place::Outside(-1.0)]);
}

#[test]
fn no_hit_is_0_and_perfection_100() {
    let file = hundred();
    for (rows, normalized) in [(&[][..], 0.0), (&[40, 60], 100.0), (&[40], 50.0)] {
        let hits: Vec<bool> = (0..100).map(|row| rows.contains(&row)).collect();
        assert_eq!(standard().score(&file, &hits).normalized(), normalized);
    }
}

/// The scores that NAB publishes for its own "windowedGaussian", by file in its repository
/// (`results/windowedGaussian/windowedGaussian_*_scores.csv`), summed by family.
#[test]
fn a_detector_of_nab_gets_the_scores_that_nab_publishes() {
    const PUBLISHED: [(&str, [f64; 3]); 5] = [
        ("artificialNoAnomaly", [0.0, 0.0, 0.0]),
        ("artificialWithAnomaly", [-5.692_444_610, -7.342_444_610, -10.692_444_610]),
        ("realAWSCloudwatch", [-11.256_215_513, -27.047_633_246, -22.256_215_513]),
        ("realAdExchange", [1.931_760_675, 1.051_792_936, -3.068_239_325]),
        ("realTraffic", [3.998_687_678, 3.228_687_678, -0.001_312_321]),
    ];
    let (files, profiles) = match (nab::files(), nab::profiles()) {
        (Ok(files), Ok(profiles)) => (files, profiles),
        (Err(missing), _) | (_, Err(missing)) => return eprintln!("not tested, {missing}"),
    };
    for (family, published) in PUBLISHED {
        for (profile, published) in profiles.iter().zip(published) {
            let mut raw = 0.0;
            for file in files.iter().filter(|file| file.family == family) {
                let scores = rivals::windowed_gaussian(file);
                let hits: Vec<bool> = scores.iter().map(|z| *z >= rivals::CERTAIN).collect();
                raw += profile.score(file, &hits).raw;
            }
            let near = (raw - published).abs() < 1e-6;
            assert!(near, "{family}, {}: {raw}, not {published}", profile.name);
        }
    }
}

#[test]
fn the_default_detector_reaches_what_is_asked_of_it() {
    let (files, profiles) = match (nab::files(), nab::profiles()) {
        (Ok(files), Ok(profiles)) => (files, profiles),
        (Err(missing), _) | (_, Err(missing)) => return eprintln!("not tested, {missing}"),
    };
    let scores: Vec<Vec<f64>> = files.iter().map(rivals::default_detector).collect();
    let told = rivals::left_out(&files, &scores, &profiles[0], rivals::COOLDOWN);
    eprintln!("NAB standard, five families, each left out: {:.1}", told.all.normalized());
    assert!(told.all.normalized() >= 50.0, "{told:?}");
}

#[test]
fn what_is_scored_is_what_the_detector_reports() {
    let files = match nab::files() {
        Ok(files) => files,
        Err(missing) => return eprintln!("not tested, {missing}"),
    };
    let file = files.iter().find(|file| file.name == "rds_cpu_utilization_e47b3b.csv").unwrap();
    let hits = rivals::hits(file, &rivals::default_detector(file), 12.0, rivals::COOLDOWN);
    assert!(hits.contains(&true));
    assert_eq!(rivals::reported(file, 12.0, rivals::COOLDOWN), hits);
}
