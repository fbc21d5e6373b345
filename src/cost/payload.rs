//! Payload bytes at deployment scale.
//!
//! Equation: bytes = header + Σ over tensors of the codec's body size, which depends on shape and compression only:
//! nothing has to be encoded, and nothing is typed in. Source: [`codec::payload_bytes`],
//! which tests hold equal to real payloads.
//!
//! Not modelled: the container of the public code (pickle in zip, names), sample digests, a few bytes per tensor.

use super::deployment::Shape;
use crate::algorithm::codec;
use crate::algorithm::spec::Compression;
use crate::quantity::Bytes;

/// Size of one peer's payload of a round.
///
/// # Panics
/// If the compression does not pass its [`check`](Compression::check).
#[must_use]
pub fn payload_bytes(compression: &Compression, shape: &Shape) -> Bytes {
    let mut bytes = codec::HEADER_BYTES;
    shape.for_each_tensor(|shape, count| bytes += count * codec::payload_bytes(compression, shape));
    Bytes(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::algorithm::spec::{IndexCoding, Quantizer, TopK, ValueCoding, VectorChunk};
    use crate::cost::deployment::named;
    use crate::training::spec::Llama;

    fn top_k(k: usize, coding: ValueCoding) -> Compression {
        Compression::TopK(TopK {
            chunk: [64, 64],
            vectors: VectorChunk::Side,
            k,
            even_k: true,
            quantizer: Some(Quantizer { bits: 2, range: 6.0, coding }),
            index_coding: IndexCoding::Fixed,
            error_feedback: Some(0.95),
        })
    }

    fn gigabytes(name: &str, k: usize, coding: ValueCoding) -> f64 {
        payload_bytes(&top_k(k, coding), &named(name).expect("a named shape")).0 as f64 / 1e9
    }

    /// Expected to the digits given.
    fn assert_rounds_to(value: f64, expected: f64, decimals: i32) {
        let unit = 10_f64.powi(-decimals);
        assert!((value - expected).abs() <= 0.5 * unit, "{value} is not {expected}");
    }

    #[test]
    fn covenant_72b_pays_what_the_facts_say() {
        // Sizes derived from the public code at this shape (uint8 values), and the report's 14 bits per value.
        assert_rounds_to(gigabytes("covenant-72b", 64, ValueCoding::Packed), 1.99, 2);
        assert_rounds_to(gigabytes("covenant-72b", 64, ValueCoding::Byte), 2.845, 3);
        assert_rounds_to(gigabytes("covenant-72b", 32, ValueCoding::Byte), 1.42, 2);
        assert_rounds_to(gigabytes("covenant-72b", 128, ValueCoding::Byte), 5.69, 2);
        let parameters = named("covenant-72b").expect("a named shape").parameters() as f64;
        assert_eq!(parameters, 72_747_327_488.0);
        let ratio = |coding| 4.0 * parameters / (1e9 * gigabytes("covenant-72b", 64, coding));
        // 32·4096/(64·14) = 146.3 and 32·4096/(64·20) = 102.4, less what dense vectors and codebooks take.
        assert_rounds_to(ratio(ValueCoding::Packed), 146.0, 0);
        assert_rounds_to(ratio(ValueCoding::Byte), 102.0, 0);
    }

    #[test]
    fn smaller_deployments_pay_what_the_facts_say() {
        for (k, byte) in [(32, 0.142), (64, 0.284), (128, 0.566)] {
            assert_rounds_to(gigabytes("sparseloco-8b", k, ValueCoding::Byte), byte, 3);
        }
        assert_rounds_to(gigabytes("sparseloco-8b", 64, ValueCoding::Packed), 0.198, 3);
        for (k, byte) in [(32, 0.024), (64, 0.047), (128, 0.094)] {
            assert_rounds_to(gigabytes("llama-1b", k, ValueCoding::Byte), byte, 3);
        }
        let Some(Shape::Llama(untied)) = named("covenant-72b") else { panic!("a Llama") };
        let tied = Shape::Llama(Llama { tied: true, ..untied });
        assert_eq!(tied.parameters(), 70_599_843_840);
        for (k, byte) in [(32, 1.38), (64, 2.76), (128, 5.52)] {
            assert_rounds_to(payload_bytes(&top_k(k, ValueCoding::Byte), &tied).0 as f64 / 1e9, byte, 2);
        }
    }

    #[test]
    fn dense_payloads_pay_per_parameter() {
        let shape = Shape::Parameters(30_846_720);
        assert_eq!(payload_bytes(&Compression::Dense { value_bits: 32 }, &shape), Bytes(8 + 4 * 30_846_720));
        assert_eq!(payload_bytes(&Compression::Dense { value_bits: 16 }, &shape), Bytes(8 + 2 * 30_846_720));
        assert_eq!(payload_bytes(&Compression::Int8, &shape), Bytes(8 + 30_846_720 + 4 * 258));
    }
}
