//! Nothing a peer sends can hurt the host: any bytes decode or are refused, for every kind of compression.
//!
//! `fuzz/` tries the same harness under libFuzzer; results/codec/fuzzing.md says for how long.

use proptest::prelude::*;

#[path = "../fuzz/harness.rs"]
mod harness;

#[test]
fn honest_payloads_pass_all_checks() {
    use swarmloco::algorithm::codec::{Checks, decode_checked};
    for case in harness::cases() {
        harness::try_payload(&case, &case.honest);
        let strict = decode_checked(Checks::Strict, &case.compression, &case.layout, &case.honest);
        assert!(strict.is_ok(), "{:?}: {strict:?}", case.compression);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(20_000))]

    #[test]
    fn random_bytes_and_mutated_payloads_decode_or_are_refused(input in proptest::collection::vec(any::<u8>(), 0..400)) {
        thread_local!(static CASES: Vec<harness::Case> = harness::cases());
        CASES.with(|cases| harness::try_input(cases, &input));
    }

    #[test]
    fn floats_of_any_size_in_a_codebook_decode_or_are_refused(
        chosen in any::<prop::sample::Index>(), edits in proptest::collection::vec((any::<prop::sample::Index>(), any::<f32>()), 1..6)
    ) {
        thread_local!(static CASES: Vec<harness::Case> = harness::cases());
        CASES.with(|cases| {
            let case = chosen.get(cases);
            let mut payload = case.honest.clone();
            for (place, value) in &edits {
                // From the end, where the last tensor's codebook lies.
                let at = payload.len() - 4 - place.index((payload.len() - 8).min(400));
                payload[at..at + 4].copy_from_slice(&value.to_le_bytes());
            }
            harness::try_payload(case, &payload);
        });
    }
}
