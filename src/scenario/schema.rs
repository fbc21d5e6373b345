//! The JSON Schema of the scenario file, for editors: a mirror of what `resolve` reads, never read itself.
//!
//! Meaning is checked by `resolve` alone. A test holds the fields of each map here equal to those that are asked for there.

#![expect(dead_code, reason = "only the types' descriptions are used")]

mod adversary;
mod validator;

use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, Schema};

mod aggregation;

use aggregation::Aggregation;

/// A duration such as `23 min` (ns, us, ms, s, min, h, d).
#[derive(JsonSchema)]
struct Duration(String);

/// A bandwidth such as `110 Mbit/s` (bit/s, kbit/s, Mbit/s, Gbit/s, Tbit/s, B/s, kB/s, MB/s, GB/s).
#[derive(JsonSchema)]
struct Bandwidth(String);

/// A quantity or a distribution of it.
#[derive(JsonSchema)]
#[serde(untagged)]
enum Drawn<Q> {
    /// Always the same.
    Fixed(Q),
    /// Drawn.
    Distribution(Distribution<Q>),
}

#[derive(JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
enum Distribution<Q> {
    /// exp of a normal.
    Lognormal {
        /// exp(mu).
        median: Q,
        /// Deviation of the logarithm.
        sigma: f64,
    },
    /// Memoryless.
    Exponential {
        /// The mean.
        mean: Q,
    },
    /// A shape below 1 has a falling hazard.
    Weibull {
        /// k.
        shape: f64,
        /// λ.
        scale: Q,
    },
    /// Evenly between two values.
    Uniform {
        /// Smallest.
        low: Q,
        /// Largest.
        high: Q,
    },
}

/// `none` or a value.
#[derive(JsonSchema)]
#[serde(untagged)]
enum OrNone<T> {
    /// Switched off.
    None(NoneWord),
    /// The value.
    Some(T),
}

#[derive(JsonSchema)]
#[serde(rename_all = "snake_case")]
enum NoneWord {
    None,
}

/// A swarmloco scenario.
#[derive(JsonSchema)]
#[serde(deny_unknown_fields)]
struct Scenario {
    /// Lower-case letters, digits, `-`, `_` and `.`; names the run directory.
    name: String,
    /// The root of all randomness. Default 1.
    seed: Option<u64>,
    /// Outer steps.
    rounds: u32,
    /// `none` runs the clock alone. Default `model`.
    training: Option<Training>,
    /// The proxy that is really trained.
    model: Model,
    /// A Hugging Face directory (`config.json`, `model.safetensors`) with the model to start from.
    initial_model: Option<String>,
    /// What it trains on; a quadratic needs none.
    data: Option<Data>,
    /// Sequences per peer and inner step, proxy.
    batch: u32,
    /// When and on how much the shared model is evaluated.
    evaluation: Option<Evaluation>,
    /// The model whose cost is charged. Default: the proxy itself.
    deployment: Option<Deployment>,
    /// The algorithm and the rules of a round.
    protocol: Protocol,
    /// Who takes part.
    peers: Vec<PeerClass>,
    /// The object store and its patience.
    network: Option<Network>,
    /// Who of them lies. Default: nobody.
    adversaries: Option<Vec<adversary::Adversary>>,
    /// Who judges them; `none`: nobody, whoever registered first is gathered. Default `none`.
    validator: Option<OrNone<validator::Validator>>,
}

#[derive(JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Checks {
    /// What the public code checks: an absurd lookup and repeated indices pass.
    Production,
    /// Both are refused.
    Strict,
}

#[derive(JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Training {
    Model,
    None,
}

#[derive(JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Model {
    /// RMSNorm, RoPE, grouped-query attention, SwiGLU.
    Llama(Llama),
    /// A noisy quadratic with a known optimum.
    Quadratic(Quadratic),
}

#[derive(JsonSchema)]
#[serde(deny_unknown_fields)]
struct Llama {
    /// Transformer blocks.
    layers: u32,
    /// Model width; a multiple of `heads`.
    width: u32,
    /// Query heads.
    heads: u32,
    /// Key and value heads; divides `heads`. Default: `heads`.
    kv_heads: Option<u32>,
    /// Inner width of the SwiGLU.
    feed_forward: u32,
    /// Tokens per sequence, T.
    context: u32,
    /// Token ids, V.
    vocabulary: u32,
    /// Whether the output projection is the embedding. Default false.
    tied: Option<bool>,
}

#[derive(JsonSchema)]
#[serde(deny_unknown_fields)]
struct Quadratic {
    /// Number of parameters.
    dimension: u32,
    /// Largest over smallest curvature. Default 100.
    condition: Option<f64>,
    /// Deviation of a gradient entry's noise for a batch of one. Default 0.
    noise: Option<f64>,
    /// Deviation of each peer's own optimum. Default 0.
    heterogeneity: Option<f64>,
}

#[derive(JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Data {
    /// Text files.
    Text(Text),
    /// An endless first-order Markov source with a known entropy rate.
    Markov(Markov),
}

#[derive(JsonSchema)]
#[serde(deny_unknown_fields)]
struct Text {
    /// Files and patterns, relative to the current directory.
    files: Vec<String>,
    /// `bytes` or the path of a Hugging Face `tokenizer.json`. Default `bytes`.
    tokenizer: Option<String>,
    /// Share of the tokens, at the end, kept for validation. Default 0.05.
    validation: Option<f64>,
}

#[derive(JsonSchema)]
#[serde(deny_unknown_fields)]
struct Markov {
    /// Of the Dirichlet of each row: smaller is more predictable.
    concentration: f64,
}

#[derive(JsonSchema)]
#[serde(deny_unknown_fields)]
struct Evaluation {
    /// Rounds between evaluations. Default 1.
    every: Option<u32>,
    /// Validation sequences. Default 64.
    sequences: Option<u32>,
}

#[derive(JsonSchema)]
#[serde(deny_unknown_fields)]
struct Deployment {
    /// A named shape (`covenant-72b`, `sparseloco-8b`, …) or `llama: {…}`.
    model: Option<Shape>,
    /// A bare count of parameters, instead of `model`.
    parameters: Option<u64>,
    /// Sequences per peer and inner step.
    batch: u32,
    /// Tokens per sequence.
    context: u32,
    /// Share of the devices' peak that training reaches. Default 0.24.
    flops_utilisation: Option<f64>,
}

#[derive(JsonSchema)]
#[serde(untagged)]
enum Shape {
    Named(String),
    Shaped(LlamaShape),
}

#[derive(JsonSchema)]
#[serde(rename_all = "snake_case")]
enum LlamaShape {
    Llama(Llama),
}

#[derive(JsonSchema)]
#[serde(deny_unknown_fields)]
struct Protocol {
    /// H, inner steps of a round.
    inner_steps: u32,
    /// The local optimizer; `gradient` sends gradients (DDP).
    inner_optimizer: InnerOptimizer,
    /// How pseudo-gradients become payloads.
    compression: Compression,
    /// How much a receiver checks of a payload. Default `production`.
    checks: Option<Checks>,
    /// How payloads reach the others. Default `object_store`.
    exchange: Option<Exchange>,
    /// How contributions are combined.
    aggregation: Aggregation,
    /// The update of θ(t).
    outer_optimizer: OuterOptimizer,
    /// When a round ends.
    round: Round,
}

#[derive(JsonSchema)]
#[serde(rename_all = "snake_case")]
enum InnerOptimizer {
    Adamw(AdamW),
    Sgd(Sgd),
    Gradient,
}

#[derive(JsonSchema)]
#[serde(rename_all = "snake_case")]
enum OuterOptimizer {
    /// θ ← θ − α·Δ.
    Sgd(Sgd),
    /// m ← μ·m + Δ; θ ← θ − α·(Δ + μ·m).
    Nesterov(Nesterov),
    Adamw(AdamW),
}

#[derive(JsonSchema)]
#[serde(deny_unknown_fields)]
struct Sgd {
    learning_rate: f64,
}

#[derive(JsonSchema)]
#[serde(deny_unknown_fields)]
struct Nesterov {
    learning_rate: f64,
    /// Default 0.9.
    momentum: Option<f64>,
}

#[derive(JsonSchema)]
#[serde(deny_unknown_fields)]
struct AdamW {
    /// Peak learning rate.
    learning_rate: f64,
    /// Default [0.9, 0.95].
    betas: Option<[f64; 2]>,
    /// Default 1e-8.
    epsilon: Option<f64>,
    /// Decoupled. Default 0.1.
    weight_decay: Option<f64>,
    /// Largest global L2 norm of a gradient, or `none`. Default 1.
    gradient_clip: Option<OrNone<f64>>,
    /// Default `constant`.
    schedule: Option<Schedule>,
}

#[derive(JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Schedule {
    Constant,
    Cosine(Cosine),
}

#[derive(JsonSchema)]
#[serde(deny_unknown_fields)]
struct Cosine {
    /// Steps of linear warm-up. Default 0.
    warmup: Option<u64>,
    /// The multiplier at the end. Default 0.1.
    r#final: Option<f64>,
    /// The step at which the cosine ends. Default: all of the run's.
    steps: Option<u64>,
}

#[derive(JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Compression {
    /// f32, as it is.
    None,
    /// One byte a value.
    Int8,
    Dense(Dense),
    /// Per-chunk top-k with error feedback.
    TopK(TopK),
}

#[derive(JsonSchema)]
#[serde(deny_unknown_fields)]
struct Dense {
    /// 16 or 32. Default 32.
    value_bits: Option<u32>,
}

#[derive(JsonSchema)]
#[serde(deny_unknown_fields)]
struct TopK {
    /// Target block of a matrix. Default [64, 64].
    chunk: Option<[u32; 2]>,
    /// Entries kept per chunk.
    k: u32,
    /// 2, 4, 8 or `none`. Default 2.
    value_bits: Option<OrNone<u32>>,
    /// `packed` or `byte`. Default `packed`.
    values: Option<ValueCoding>,
    /// Width of all bins in standard deviations. Default 6.
    range: Option<f64>,
    /// Default `fixed`: 12 bits each.
    index_coding: Option<IndexCoding>,
    /// Decay beta, or `none`. Default 0.95.
    error_feedback: Option<OrNone<f64>>,
    /// How vectors are cut. Default `side`.
    vectors: Option<Vectors>,
    /// k is rounded down to even. Default true.
    even_k: Option<bool>,
}

#[derive(JsonSchema)]
#[serde(rename_all = "snake_case")]
enum ValueCoding {
    Packed,
    Byte,
}

#[derive(JsonSchema)]
#[serde(rename_all = "snake_case")]
enum IndexCoding {
    Fixed,
}

#[derive(JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Vectors {
    Side,
    Area,
    AreaRate,
}

#[derive(JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Exchange {
    ObjectStore,
    Ring,
    AllToAll,
}

#[derive(JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Round {
    /// Fixed slots of wall-clock.
    Window(Window),
    /// The round ends when its peers do.
    Barrier(Barrier),
    #[serde(untagged)]
    BarrierWord(BarrierWord),
}

#[derive(JsonSchema)]
#[serde(rename_all = "snake_case")]
enum BarrierWord {
    Barrier,
}

#[derive(JsonSchema)]
#[serde(deny_unknown_fields)]
struct Window {
    /// Inner steps stop at its end.
    length: Duration,
    /// Uploads count until this long after the boundary.
    upload_deadline: Duration,
    /// Size of the gather set.
    gather: u32,
    /// Stand-ins for missing payloads. Default 0.
    reserve: Option<u32>,
    /// A gather that takes longer from the boundary fails. Default 600 s.
    gather_timeout: Option<Duration>,
}

#[derive(JsonSchema)]
#[serde(deny_unknown_fields)]
struct Barrier {
    /// Default `all`.
    wait: Option<Wait>,
    /// The exchange starts at the latest this long after the round began.
    timeout: Option<Duration>,
}

#[derive(JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Wait {
    All,
    /// A share of the members.
    Quorum(f64),
}

#[derive(JsonSchema)]
#[serde(deny_unknown_fields)]
struct PeerClass {
    /// Name of the class, and of its random streams.
    name: String,
    /// Identities at the start.
    count: u32,
    /// Accelerators; or `step_time`.
    device: Option<Device>,
    /// Time of an inner step, instead of `device`.
    step_time: Option<Duration>,
    /// Spread of compute speed.
    jitter: Option<Jitter>,
    /// Drawn once a peer.
    uplink: Drawn<Bandwidth>,
    /// Drawn once a peer.
    downlink: Drawn<Bandwidth>,
    /// One way, drawn once a peer. Default 50 ms.
    latency: Option<Drawn<Duration>>,
    /// Sessions and absences. Default: always there.
    availability: Option<Availability>,
    /// New identities over time. Default: none.
    arrivals: Option<Arrivals>,
}

#[derive(JsonSchema)]
#[serde(deny_unknown_fields)]
struct Device {
    /// `a100`, `h100`, `h200`, `b200`, `l40s`, `a40`, `rtx-3090`, `rtx-4090`, `rtx-5090`.
    name: String,
    /// How many work on one replica. Default 1.
    count: Option<u32>,
}

/// Sigmas of lognormal factors with median 1 on the time of a step.
#[derive(JsonSchema)]
#[serde(deny_unknown_fields)]
struct Jitter {
    /// Drawn once a peer. Default 0.
    peer: Option<f64>,
    /// Drawn each step. Default 0.02.
    step: Option<f64>,
}

#[derive(JsonSchema)]
#[serde(deny_unknown_fields)]
struct Availability {
    /// Length of a session.
    session: Drawn<Duration>,
    /// Length of an absence.
    absence: Drawn<Duration>,
    /// Share of sessions that end in a crash. Default 0.
    crash: Option<f64>,
    /// Time until an identity leaves for good. Default: never.
    residence: Option<Drawn<Duration>>,
}

/// Poisson arrivals.
#[derive(JsonSchema)]
#[serde(deny_unknown_fields)]
struct Arrivals {
    /// Mean time between two.
    mean_interval: Duration,
    /// No more identities of the class than this.
    cap: u32,
}

#[derive(JsonSchema)]
#[serde(deny_unknown_fields)]
struct Network {
    /// What the store takes in from all peers together. Default: no limit.
    store_ingress: Option<Bandwidth>,
    /// What the store gives out to all peers together. Default: no limit.
    store_egress: Option<Bandwidth>,
    /// An upload that lasts longer is given up. Default: never.
    put_timeout: Option<Duration>,
    /// A gather that lasts longer is given up. Default: never.
    get_timeout: Option<Duration>,
    /// How the store dates an upload, and so which are late: a multipart upload by its start. Default `upload_end`.
    last_modified: Option<LastModified>,
}

#[derive(JsonSchema)]
#[serde(rename_all = "snake_case")]
enum LastModified {
    UploadEnd,
    UploadStart,
}

/// The JSON Schema (draft-07) of a scenario file.
#[must_use]
pub fn schema() -> Schema {
    SchemaSettings::draft07().into_generator().into_root_schema_for::<Scenario>()
}
