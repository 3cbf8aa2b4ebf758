//! Noise that depends on nothing but the seed, the series and the time, so that a demo can be repeated.

/// Times between two knots of the noise, in seconds, with the share of each in the whole.
const OCTAVES: [(f64, f64); 3] = [(5.0, 0.35), (90.0, 0.3), (1500.0, 0.35)];

/// Noise of one series.
#[derive(Clone, Copy, Debug)]
pub(super) struct Noise(u64);

impl Noise {
    pub(super) fn new(seed: u64, series: &str) -> Self {
        let name = series
            .bytes()
            .fold(seed ^ 0x9e37_79b9_7f4a_7c15, |hash, byte| {
                mix(hash ^ u64::from(byte))
            });
        Self(name)
    }

    /// Returns a value between -1 and 1 at `seconds` of the Unix time; values close in time are alike.
    pub(super) fn at(self, seconds: f64) -> f64 {
        let octaves = OCTAVES.iter().zip(1..);
        octaves
            .map(|((period, share), octave)| share * self.between_knots(seconds / period, octave))
            .sum()
    }

    fn between_knots(self, place: f64, octave: u64) -> f64 {
        let knot = place.floor();
        let ease = smooth(place - knot);
        let value = |knot: f64| self.knot(knot as i64, octave);
        value(knot) * (1.0 - ease) + value(knot + 1.0) * ease
    }

    fn knot(self, knot: i64, octave: u64) -> f64 {
        let bits = mix(self.0 ^ mix(knot.cast_unsigned() ^ (octave << 56)));
        (bits >> 11) as f64 / (1_u64 << 52) as f64 - 1.0
    }
}

/// Smoothstep: no corner at a knot.
pub(super) fn smooth(x: f64) -> f64 {
    let x = x.clamp(0.0, 1.0);
    x * x * (3.0 - 2.0 * x)
}

/// Finalizer of SplitMix64 (Steele, Lea and Flood, 2014).
fn mix(mut bits: u64) -> u64 {
    bits = bits.wrapping_add(0x9e37_79b9_7f4a_7c15);
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn noise_is_within_one_centred_and_repeatable() {
        let noise = Noise::new(1, "cpu");
        let values: Vec<f64> = (0..20_000)
            .map(|at| noise.at(f64::from(at) * 7.0))
            .collect();
        assert!(values.iter().all(|value| value.abs() <= 1.0));
        let mean = values.iter().sum::<f64>() / values.len() as f64;
        assert!(mean.abs() < 0.05, "{mean}");
        assert_eq!(
            noise.at(1234.5).to_bits(),
            Noise::new(1, "cpu").at(1234.5).to_bits()
        );
        assert_ne!(noise.at(1234.5), Noise::new(2, "cpu").at(1234.5));
        assert_ne!(noise.at(1234.5), Noise::new(1, "mem").at(1234.5));
    }
}
