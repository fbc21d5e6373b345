//! What is charged and not done: seconds of compute and bytes of payload at deployment scale.

pub mod deployment;
pub mod device;
pub mod distribution;
pub mod payload;

pub use deployment::Deployment;
pub use device::Device;
pub use distribution::Distribution;
