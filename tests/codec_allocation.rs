//! What a payload can make its receiver allocate: nothing before its length is right, then a few times its length.

use std::alloc::{GlobalAlloc, Layout as Memory, System};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use swarmloco::algorithm::Layout;
use swarmloco::algorithm::codec::{Checks, DecodeError, decode_checked};
use swarmloco::algorithm::spec::Compression;

#[path = "../fuzz/harness.rs"]
#[expect(dead_code, reason = "only its cases are used here")]
mod harness;

/// The system's allocator, counting.
struct Counting;

static LIVE: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);

// SAFETY: every call goes to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Memory) -> *mut u8 {
        let live = LIVE.fetch_add(layout.size(), Relaxed) + layout.size();
        PEAK.fetch_max(live, Relaxed);
        // SAFETY: as the caller promises.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Memory) {
        LIVE.fetch_sub(layout.size(), Relaxed);
        // SAFETY: as the caller promises.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// The most that was allocated at once during the call \[bytes\].
fn peak<T>(call: impl FnOnce() -> T) -> (usize, T) {
    let before = LIVE.load(Relaxed);
    PEAK.store(before, Relaxed);
    let result = call();
    (PEAK.load(Relaxed) - before, result)
}

/// One test, since others in the same process would be counted, too.
#[test]
fn memory_is_bounded_by_the_length_of_the_payload_and_by_nothing_that_it_says() {
    // Another length than the layout's: refused with nothing but a reason, however large the layout or the payload.
    let mut huge = Layout::new();
    huge.push("huge", &[65_535, 65_535]);
    for compression in [Compression::production(), Compression::Int8, Compression::Dense { value_bits: 32 }] {
        for length in [0, 7, 8, 100, 1 << 24] {
            let payload = vec![0xff; length];
            let (bytes, result) = peak(|| decode_checked(Checks::Production, &compression, &huge, &payload));
            assert!(matches!(result, Err(DecodeError::Length { .. })), "{compression:?}: {result:?}");
            assert_eq!(bytes, 0, "{compression:?}, {length} bytes");
        }
    }

    // The right length: 14 bits become 8 bytes of an entry and 3 of scratch, 16 bits of a dense value become 4 bytes.
    // Names and tables of four small tensors are the constant.
    for case in harness::cases() {
        let length = case.honest.len();
        for noise in [0x00, 0x01, 0x55, 0xff] {
            let mut payload = case.honest.clone();
            payload[8..].fill(noise);
            for payload in [&case.honest, &payload] {
                for checks in [Checks::Production, Checks::Strict] {
                    let (bytes, _) = peak(|| decode_checked(checks, &case.compression, &case.layout, payload));
                    assert!(bytes <= 12 * length + 2048, "{:?}: {bytes} of {length}", case.compression);
                }
            }
        }
    }

    // At size, where the constant does not count.
    let compression = Compression::production();
    let mut layout = Layout::new();
    layout.push("matrix", &[2048, 2048]);
    let zeros = &mut vec![0.0; layout.parameters()];
    let payload =
        swarmloco::algorithm::codec::encode(&compression, &layout, zeros, &mut Vec::new(), &mut <_>::default());
    let (bytes, result) = peak(|| decode_checked(Checks::Production, &compression, &layout, &payload.bytes));
    assert!(result.is_ok(), "{result:?}");
    let ratio = bytes as f64 / payload.bytes.len() as f64;
    assert!(ratio < 7.0, "{ratio} times the payload");
}
