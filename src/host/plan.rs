//! From a scenario to what a swarm has to know: the place where deployment scale is worked out.

use crate::cost::payload::payload_bytes;
use crate::protocol::SwarmSpec;
use crate::protocol::spec::Compute;
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
        timeline,
    }
}
