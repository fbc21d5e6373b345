//! From a scenario to what a swarm has to know: the place where deployment scale is worked out.

use crate::cost::Deployment;
use crate::cost::payload::payload_bytes;
use crate::protocol::SwarmSpec;
use crate::protocol::spec::{Compute, Validation};
use crate::quantity::Duration;
use crate::scenario::Scenario;

/// The swarm of a scenario; `timeline` says whether intervals are recorded.
#[must_use]
pub fn swarm_spec(scenario: &Scenario, timeline: bool) -> SwarmSpec {
    let deployment = &scenario.deployment;
    let step_times = scenario.peers.iter().map(|class| match &class.compute {
        Compute::Device(device) => device.step_time(deployment),
        Compute::StepTime(time) => *time,
    });
    SwarmSpec {
        seed: scenario.seed,
        rounds: scenario.rounds,
        evaluation_every: scenario.evaluation.every,
        protocol: scenario.protocol.clone(),
        classes: scenario.peers.clone(),
        step_times: step_times.collect(),
        network: scenario.network,
        payload: payload_bytes(&scenario.protocol.compression, &deployment.shape),
        checkpoint: deployment.checkpoint_bytes(),
        deployment_tokens_per_step: deployment.tokens_per_step(),
        adversaries: scenario.adversaries.clone(),
        evaluation_time: scenario.validator.as_ref().map_or(Duration::ZERO, |it| evaluation_time(it, deployment)),
        validation: scenario.validator.clone(),
        timeline,
    }
}

/// Three forward passes over the sequences, 2 of an inner step's 6 FLOPs a parameter and token each: an inner step for
/// as many sequences as an evaluation has, once.
fn evaluation_time(validation: &Validation, deployment: &Deployment) -> Duration {
    match &validation.compute {
        Compute::StepTime(time) => *time,
        Compute::Device(device) => {
            let share = f64::from(validation.rules.sequences) / deployment.batch as f64;
            Duration::from_secs_f64(device.step_time(deployment).as_secs_f64() * share)
        }
    }
}
