//! The scoring of anomaly detection is NAB's own, and the detector that ships is as good as claimed.

#[path = "../support/drifts.rs"]
mod drifts;
#[path = "../support/nab.rs"]
mod nab;
#[path = "../support/rivals.rs"]
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
        assert!(
            (score.raw - raw).abs() < 1e-6,
            "{rows:?}: {} not {raw}",
            score.raw
        );
        assert_eq!((score.null, score.perfect), (-2.0, 2.0));
    }
    assert_eq!(file.places[14], Place::Probation);
    assert_eq!(
        nab::places(10_000, &[])[749..751],
        [Place::Probation, Place::Outside(-1.0)]
    );
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
        (
            "artificialWithAnomaly",
            [-5.692_444_610, -7.342_444_610, -10.692_444_610],
        ),
        (
            "realAWSCloudwatch",
            [-11.256_215_513, -27.047_633_246, -22.256_215_513],
        ),
        (
            "realAdExchange",
            [1.931_760_675, 1.051_792_936, -3.068_239_325],
        ),
        (
            "realTraffic",
            [3.998_687_678, 3.228_687_678, -0.001_312_321],
        ),
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
fn what_ships_reaches_what_is_asked_of_it() {
    let (files, profiles) = match (nab::files(), nab::profiles()) {
        (Ok(files), Ok(profiles)) => (files, profiles),
        (Err(missing), _) | (_, Err(missing)) => return eprintln!("not tested, {missing}"),
    };
    let mut all = nab::Score::default();
    for file in &files {
        all.add(profiles[0].score(file, &rivals::shipped(file)));
    }
    eprintln!(
        "NAB standard, five families, as shipped: {:.1}",
        all.normalized()
    );
    assert!(all.normalized() >= 65.0, "{all:?}");
    // The default is no lucky one: chosen on the other families it does as well on each.
    let chosen = rivals::shipped_left_out(&files, &profiles[0]);
    eprintln!(
        "each family's sensitivity chosen on the others: {:.1}",
        chosen.all.normalized()
    );
    assert!(chosen.all.normalized() >= 65.0, "{chosen:?}");
}

#[test]
fn slow_anomalies_are_found() {
    let families = [drifts::machine_temperature, drifts::daily_demand];
    // 69.7 and 71.2, and 64.2 and 71.1 on twenty other seeds. Without a view on hours: 47.9 and 35.5.
    for family in families {
        let mut all = nab::Score::default();
        for seed in 0..10 {
            let file = family(seed);
            all.add(standard().score(&file, &rivals::shipped(&file)));
        }
        assert!(all.normalized() >= 60.0, "{all:?}");
    }
}
