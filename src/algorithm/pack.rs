//! Small numbers in few bytes.
//!
//! Indices take 12 bits each, two in three bytes: `b0 = i1 & 255`, `b1 = i1 >> 8 | (i2 & 15) << 4`, `b2 = i2 >> 4`, as
//! the public code writes them. It needs an even count; here an odd last one takes two bytes with four zero bits.
//! Bin numbers of 2, 4 or 8 bits fill each byte from its low end.

/// Indices are below this.
pub const INDEX_END: usize = 1 << 12;

/// Bytes of `count` packed indices.
#[must_use]
pub const fn index_bytes(count: u64) -> u64 {
    (3 * count).div_ceil(2)
}

/// Bytes of `count` packed values of `bits` each.
#[must_use]
pub const fn value_bytes(count: u64, bits: u32) -> u64 {
    (count * bits as u64).div_ceil(8)
}

/// Appends the packed indices.
pub fn pack_indices(indices: &[u16], bytes: &mut Vec<u8>) {
    let (pairs, rest) = indices.as_chunks::<2>();
    for &[first, second] in pairs {
        debug_assert!(usize::from(first.max(second)) < INDEX_END, "an index has 12 bits");
        bytes.extend([first as u8, (first >> 8 | (second & 15) << 4) as u8, (second >> 4) as u8]);
    }
    if let &[last] = rest {
        debug_assert!(usize::from(last) < INDEX_END, "an index has 12 bits");
        bytes.extend(last.to_le_bytes());
    }
}

/// Replaces `indices` by those packed in `bytes`.
///
/// # Panics
/// If the number of bytes is not that of any number of indices.
pub fn unpack_indices(bytes: &[u8], indices: &mut Vec<u16>) {
    let (triples, rest) = bytes.as_chunks::<3>();
    indices.clear();
    for &[low, middle, high] in triples {
        let [low, middle, high] = [u16::from(low), u16::from(middle), u16::from(high)];
        indices.extend([low | (middle & 15) << 8, middle >> 4 | high << 4]);
    }
    match *rest {
        [] => {}
        [low, high] => indices.push(u16::from_le_bytes([low, high])),
        _ => panic!("no number of indices has {} bytes", bytes.len()),
    }
}

/// Appends the packed values, each below 2^`bits`; `bits` divides 8.
pub fn pack_values(values: &[u8], bits: u32, bytes: &mut Vec<u8>) {
    for group in values.chunks((8 / bits) as usize) {
        bytes.push(group.iter().rev().fold(0, |byte, &value| byte.unbounded_shl(bits) | value));
    }
}

/// Replaces `values` by the first `count` packed in `bytes`; `false` if bits behind them are not zero.
///
/// # Panics
/// If there are fewer bytes.
pub fn unpack_values(bytes: &[u8], bits: u32, count: usize, values: &mut Vec<u8>) -> bool {
    let per_byte = (8 / bits) as usize;
    let mask = 0xff >> (8 - bits);
    values.clear();
    values.extend(bytes.iter().flat_map(|&byte| (0..per_byte as u32).map(move |place| byte >> (place * bits) & mask)));
    assert!(values.len() >= count, "{} bytes hold no {count} values of {bits} bits", bytes.len());
    let clean = values[count..].iter().all(|&value| value == 0);
    values.truncate(count);
    clean
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn indices_come_back(indices in proptest::collection::vec(0..4096_u16, 0..50)) {
            let (mut bytes, mut back) = (Vec::new(), Vec::new());
            pack_indices(&indices, &mut bytes);
            prop_assert_eq!(bytes.len() as u64, index_bytes(indices.len() as u64));
            unpack_indices(&bytes, &mut back);
            prop_assert_eq!(back, indices);
        }

        #[test]
        fn values_come_back(values in proptest::collection::vec(any::<u8>(), 0..50), bits in prop_oneof![Just(2), Just(4), Just(8)]) {
            let values: Vec<u8> = values.into_iter().map(|value| value >> (8 - bits)).collect();
            let (mut bytes, mut back) = (Vec::new(), Vec::new());
            pack_values(&values, bits, &mut bytes);
            prop_assert_eq!(bytes.len() as u64, value_bytes(values.len() as u64, bits));
            prop_assert!(unpack_values(&bytes, bits, values.len(), &mut back));
            prop_assert_eq!(back, values);
        }
    }

    #[test]
    fn packed_bytes_are_filled_from_the_low_end() {
        let mut bytes = Vec::new();
        pack_values(&[1, 2, 3, 0, 2], 2, &mut bytes);
        assert_eq!(bytes, [0b00_11_10_01, 0b10]);
        assert!(!unpack_values(&[0b0100], 2, 1, &mut Vec::new()), "something stands behind the last value");
    }
}
