//! Accelerators: dense bf16 tensor throughput and memory.
//!
//! Peak figures are the vendors' for dense (not 2:4 sparse) bf16 products with f32 accumulation; what a training run
//! gets out of them is `deployment.flops_utilisation`. Not modelled: clocks under thermal limits, host transfers,
//! parallelism inside a peer (its cost is part of the utilisation).

use serde::{Deserialize, Serialize};

use super::Deployment;
use crate::quantity::{Bytes, Duration};

/// One entry of the device table.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct DeviceModel {
    /// Name in scenarios.
    pub name: &'static str,
    /// Dense bf16 \[TFLOP/s\].
    pub tflops: f64,
    /// Device memory.
    pub memory: Bytes,
    /// Where the figures come from.
    pub source: &'static str,
}

const fn device(name: &'static str, tflops: f64, memory_gb: u64, source: &'static str) -> DeviceModel {
    DeviceModel { name, tflops, memory: Bytes(memory_gb * 1_000_000_000), source }
}

/// The devices that a scenario can name.
pub const DEVICES: &[DeviceModel] = &[
    device("a100", 312.0, 80, "NVIDIA A100 80GB SXM datasheet: 312 TFLOP/s bf16 dense, 80 GB HBM2e"),
    device(
        "h100",
        989.0,
        80,
        "NVIDIA H100 SXM datasheet: 1,979 TFLOP/s bf16 with sparsity, half of it dense; 80 GB HBM3",
    ),
    device("h200", 989.0, 141, "NVIDIA H200 SXM datasheet: compute of the H100, 141 GB HBM3e"),
    device(
        "b200",
        2250.0,
        180,
        "NVIDIA DGX B200 datasheet: 36 PFLOP/s bf16 with sparsity over 8 GPUs, half of it dense; 180 GB usable",
    ),
    device("l40s", 362.0, 48, "NVIDIA L40S datasheet: 362 TFLOP/s bf16 dense, 48 GB GDDR6"),
    device("a40", 149.7, 48, "NVIDIA A40 datasheet: 149.7 TFLOP/s bf16 dense, 48 GB GDDR6"),
    device("rtx-3090", 71.0, 24, "NVIDIA GA102 whitepaper: 71 TFLOP/s bf16 dense with f32 accumulation, 24 GB GDDR6X"),
    device(
        "rtx-4090",
        165.2,
        24,
        "NVIDIA Ada whitepaper: 165.2 TFLOP/s bf16 dense with f32 accumulation, 24 GB GDDR6X",
    ),
    device(
        "rtx-5090",
        209.5,
        32,
        "NVIDIA RTX Blackwell whitepaper: 209.5 TFLOP/s bf16 dense with f32 accumulation, 32 GB GDDR7",
    ),
];

/// Finds a device by its name.
#[must_use]
pub fn find(name: &str) -> Option<&'static DeviceModel> {
    DEVICES.iter().find(|device| device.name == name)
}

/// The accelerators of a peer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Device {
    /// A name of [`DEVICES`].
    pub name: String,
    /// How many of them work on one replica.
    pub count: u32,
    /// Dense bf16 of one of them \[TFLOP/s\].
    pub tflops: f64,
}

impl Device {
    /// Time of one inner step without jitter: 6·P·tokens / (count · peak · utilisation).
    #[must_use]
    pub fn step_time(&self, deployment: &Deployment) -> Duration {
        let flops = 6.0 * deployment.parameters() as f64 * deployment.tokens_per_step() as f64;
        let rate = f64::from(self.count) * self.tflops * 1e12 * deployment.flops_utilisation;
        Duration::from_secs_f64(flops / rate)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cost::deployment;

    #[test]
    fn eight_b200_take_twenty_minutes_for_thirty_steps_of_covenant_72b() {
        // The report's fixed compute window is 20 min for H = 30 of 192 x 2048 tokens (section 4.3); 6ND gives 24 % of peak.
        let covenant = Deployment {
            shape: deployment::named("covenant-72b").expect("a named shape"),
            batch: 192,
            context: 2048,
            flops_utilisation: 0.24,
        };
        let peer = Device { name: "b200".into(), count: 8, tflops: find("b200").expect("in the table").tflops };
        let minutes = 30.0 * peer.step_time(&covenant).as_secs_f64() / 60.0;
        assert!((minutes - 20.0).abs() < 0.2, "{minutes} min");
    }

    #[test]
    fn names_are_unique_and_lower_case() {
        for (at, device) in DEVICES.iter().enumerate() {
            assert_eq!(device.name, device.name.to_lowercase());
            assert!(DEVICES[at + 1..].iter().all(|other| other.name != device.name));
            assert!(device.tflops > 0.0 && device.memory.0 > 0 && !device.source.is_empty());
        }
    }
}
