//! The time of a ring all-reduce.
//!
//! R members, each with a tensor of n bytes, stand in a ring. The tensor is cut into R chunks; in each of 2(R − 1)
//! hops every member sends one chunk to the next: R − 1 hops in which sums gather, R − 1 in which they spread.
//!
//! ```text
//! chunk      = ⌈n / R⌉
//! hop        = max over i of  latency_i + latency_{i+1} + chunk / min(uplink_i, downlink_{i+1})
//! time       = 2 (R − 1) · hop
//! sent by a member = 2 (R − 1) · chunk  ≈  2 (R − 1) / R · n
//! ```
//!
//! Units: bytes, bit/s, nanoseconds; the time of a chunk is rounded up.
//!
//! All members wait for the slowest in each hop. In a real pipeline a slow hop delays its neighbours first and the
//! others only after some hops; since every chunk crosses the slowest link R − 1 times out of R in each half, the
//! difference is below 1/R.
//! Not modelled: the additions, other traffic on the links (a ring has the network to itself), buckets that overlap with
//! each other or with compute, and a member that fails on the way (the caller starts a new ring).
//!
//! Source: Patarasuk and Yuan, *Bandwidth optimal all-reduce algorithms for clusters of workstations*, 2009.

use thiserror::Error;

use crate::quantity::{Bandwidth, Bytes, Duration};

/// A member of a ring.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RingMember {
    /// To the next member.
    pub uplink: Bandwidth,
    /// From the member before.
    pub downlink: Bandwidth,
    /// One way to the middle of the network, as an endpoint's of [`Network`](super::Network).
    pub latency: Duration,
}

/// What is no ring.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum RingError {
    /// There is nobody to send to.
    #[error("a ring needs two members or more: {members}")]
    TooFew {
        /// How many there are.
        members: usize,
    },
}

/// Time of an all-reduce of `payload` over the members in the order of the ring.
///
/// # Errors
/// If there are fewer than two members.
pub fn ring_time(members: &[RingMember], payload: Bytes) -> Result<Duration, RingError> {
    let chunk = chunk(members.len(), payload)?;
    let next = members.iter().cycle().skip(1);
    let hop = members.iter().zip(next).map(|(from, to)| {
        let rate = from.uplink.bytes_per_second().min(to.downlink.bytes_per_second());
        let sending = Duration::from_nanos((chunk.0 as f64 / rate * 1e9).ceil() as u64);
        from.latency.saturating_add(to.latency).saturating_add(sending)
    });
    let hop = hop.max().expect("because there are members");
    Ok(Duration::from_nanos(hop.as_nanos().saturating_mul(hops(members.len()))))
}

/// Bytes that each member sends, and receives, in an all-reduce of `payload`.
///
/// # Errors
/// If there are fewer than two members.
pub fn ring_bytes_per_member(members: usize, payload: Bytes) -> Result<Bytes, RingError> {
    Ok(Bytes(hops(members) * chunk(members, payload)?.0))
}

/// Needs two members or more.
fn hops(members: usize) -> u64 {
    2 * (members as u64).saturating_sub(1)
}

fn chunk(members: usize, payload: Bytes) -> Result<Bytes, RingError> {
    if members < 2 { Err(RingError::TooFew { members }) } else { Ok(Bytes(payload.0.div_ceil(members as u64))) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member(megabits: f64, latency_ms: u64) -> RingMember {
        let rate = Bandwidth::from_bits_per_second(megabits * 1e6);
        RingMember {
            uplink: rate,
            downlink: Bandwidth::UNLIMITED,
            latency: Duration::from_nanos(latency_ms * 1_000_000),
        }
    }

    #[test]
    fn four_equal_members_move_one_and_a_half_payloads_each() {
        let payload = Bytes(1_000_000);
        assert_eq!(ring_bytes_per_member(4, payload), Ok(Bytes(1_500_000)));
        // 1.5 MB at 8 Mbit/s = 1 MB/s.
        assert_eq!(ring_time(&[member(8.0, 0); 4], payload), Ok("1.5 s".parse().unwrap()));
    }

    #[test]
    fn the_slowest_hop_sets_the_pace() {
        let members = [member(8.0, 1), member(4.0, 1), member(8.0, 30)];
        // Chunk 1 MB: hops of 1 s + 2 ms, 2 s + 31 ms and 1 s + 31 ms; four of the slowest.
        assert_eq!(ring_time(&members, Bytes(3_000_000)), Ok("8.124 s".parse().unwrap()));
    }

    #[test]
    fn chunks_are_whole_bytes() {
        assert_eq!(ring_bytes_per_member(3, Bytes(10)), Ok(Bytes(16)));
        assert_eq!(ring_bytes_per_member(2, Bytes(0)), Ok(Bytes(0)));
    }

    #[test]
    fn a_ring_of_one_is_an_error() {
        assert_eq!(ring_time(&[member(1.0, 0)], Bytes(1)), Err(RingError::TooFew { members: 1 }));
        assert_eq!(ring_bytes_per_member(0, Bytes(1)), Err(RingError::TooFew { members: 0 }));
    }
}
