//! How long a ring all-reduce takes.
//!
//! Each of R members cuts its payload of n bytes into R parts. In 2(R−1) hops (R−1 to reduce, R−1 to gather) every
//! member sends one part to the next and receives one from the one before. A hop is over when its slowest member is:
//!
//! ```text
//! part   = ⌈n / R⌉
//! hop    = max over members r of  part / min(uplink_r, downlink_{r+1}) + latency_r + latency_{r+1}
//! time   = 2 (R − 1) · hop
//! bytes  = 2 (R − 1) · part   sent and received by each member
//! ```
//!
//! Not modelled: overlap of hops, other traffic on the same links, computing on the parts.
//! Source: Patarasuk and Yuan, "Bandwidth optimal all-reduce algorithms for clusters of workstations", 2009.

use thiserror::Error;

use crate::quantity::{Bandwidth, Bytes, Duration};

/// One member of a ring.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Member {
    /// To the next member.
    pub uplink: Bandwidth,
    /// From the member before.
    pub downlink: Bandwidth,
    /// One way, to the middle of the network.
    pub latency: Duration,
}

/// A ring that cannot be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("a ring needs at least 2 members, got {0}")]
pub struct RingError(pub usize);

/// Time of an all-reduce of `payload` bytes a member, in this order.
///
/// # Errors
/// If there are fewer than two members.
pub fn ring_time(members: &[Member], payload: Bytes) -> Result<Duration, RingError> {
    let count = members.len();
    if count < 2 {
        return Err(RingError(count));
    }
    let part = part(count, payload).0 as f64;
    let hop_s = (0..count)
        .map(|index| {
            let (from, to) = (&members[index], &members[(index + 1) % count]);
            let rate = from.uplink.bytes_per_second().min(to.downlink.bytes_per_second());
            part / rate + from.latency.as_secs_f64() + to.latency.as_secs_f64()
        })
        .fold(0.0, f64::max);
    Ok(Duration::from_secs_f64(2.0 * (count - 1) as f64 * hop_s))
}

/// Bytes that each of `members` sends, and receives.
#[must_use]
pub fn ring_bytes_per_member(members: usize, payload: Bytes) -> Bytes {
    if members < 2 { Bytes(0) } else { Bytes(2 * (members as u64 - 1) * part(members, payload).0) }
}

fn part(members: usize, payload: Bytes) -> Bytes {
    Bytes(payload.0.div_ceil(members as u64))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member(mbit: f64) -> Member {
        let rate = Bandwidth::from_bits_per_second(mbit * 1e6);
        Member { uplink: rate, downlink: rate, latency: Duration::ZERO }
    }

    #[test]
    fn fourteen_nodes_at_298_mbit_take_intellect_1s_time() {
        // facts: 2·(13/14)·10 GB in 498 s is about 298 Mbit/s a link.
        let time = ring_time(&[member(298.0); 14], Bytes(10_000_000_000)).expect("14 members");
        assert!((time.as_secs_f64() / 498.0 - 1.0).abs() < 0.01, "{time}");
        let bytes = ring_bytes_per_member(14, Bytes(10_000_000_000)).0 as f64;
        assert!((bytes / (2.0 * 13.0 / 14.0 * 1e10) - 1.0).abs() < 1e-6, "{bytes}");
    }

    #[test]
    fn the_slowest_link_sets_the_pace() {
        let slow = [member(1000.0), member(10.0), member(1000.0)];
        let time = ring_time(&slow, Bytes(3_000_000)).expect("3 members");
        assert_eq!(time, Duration::from_secs_f64(4.0 * 0.8));
    }

    #[test]
    fn one_is_no_ring() {
        assert_eq!(ring_time(&[member(1.0)], Bytes(1)), Err(RingError(1)));
        assert_eq!(ring_bytes_per_member(1, Bytes(1)), Bytes(0));
    }
}
