//! Whole swarms without a directory: what integration tests of the protocol run.

use swarmloco::host::plan;
use swarmloco::protocol::rows::Rows;
use swarmloco::protocol::{Event, Swarm, SwarmState};
use swarmloco::scenario::Scenario;
use swarmloco::sim::Kernel;
use swarmloco::training::{self, BackendSpec, TrainingBackend};

/// What trains for the scenario.
pub fn backend(scenario: &Scenario, threads: usize) -> Box<dyn TrainingBackend> {
    training::build(&BackendSpec {
        model: &scenario.model,
        initial: None,
        data: scenario.data.as_ref(),
        batch: scenario.batch,
        optimizer: &scenario.protocol.inner_optimizer,
        validation_sequences: scenario.evaluation.sequences,
        seed: scenario.seed,
        threads,
    })
    .expect("the test's data are embedded")
}

/// Audit and rows of a run, with everything written and read back after `pause` events.
pub fn run(scenario: &Scenario, threads: usize, pause: Option<u64>) -> (u64, Rows) {
    let backend = backend(scenario, threads);
    let mut kernel = Kernel::new();
    let mut swarm = Swarm::new(plan::swarm_spec(scenario, true), Some(&*backend));
    kernel.prepare(|outbox| swarm.start(outbox));
    while !swarm.is_finished() && kernel.step(&mut swarm) {
        if pause == Some(kernel.dispatched()) {
            let bytes = postcard::to_stdvec(&(&kernel, swarm.state())).expect("plain data");
            let (restored, state): (Kernel<Event>, SwarmState) =
                postcard::from_bytes(&bytes).expect("what was written");
            kernel = restored;
            swarm = Swarm::from_state(plan::swarm_spec(scenario, true), state, Some(&*backend));
        }
    }
    assert!(swarm.is_finished(), "the swarm does not die out");
    (kernel.audit().value(), swarm.recorder().rows().clone())
}
