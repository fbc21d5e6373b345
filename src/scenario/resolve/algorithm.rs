//! Compression, aggregation, optimizers.

use crate::algorithm::spec::{
    AdamW, Compression, IndexCoding, OuterOptimizer, Quantizer, Schedule, TopK, ValueCoding, VectorChunk,
};
use crate::scenario::document::{Node, Value};
use crate::scenario::reader::{Fields, Reader};

/// Index coding has 12 bits for a place in a chunk.
const CHUNK_LEN_MAX: usize = 4096;

/// `none`, `int8`, `dense: {…}` or `top_k: {…}`.
pub fn compression(reader: &Reader, node: &Node) -> Option<Compression> {
    let variant = reader.variant(node, "compression", &["none", "int8", "dense", "top_k"])?;
    match (variant.name, variant.content) {
        ("none", _) => Some(Compression::Dense { value_bits: 32 }),
        ("int8", _) => Some(Compression::Int8),
        (_, None) => reader.report(variant.place, format!("`{}` needs its parameters", variant.name), ""),
        ("dense", Some(content)) => reader.map(content, "`dense`", |fields| {
            let value_bits = fields.or("value_bits", 32, |node| match reader.integer(node, 1, 64)? {
                bits @ (16 | 32) => Some(bits),
                bits => reader.report(node.place, format!("expected 16 or 32, found `{bits}`"), ""),
            });
            Some(Compression::Dense { value_bits: value_bits? as u32 })
        }),
        (_, Some(content)) => reader.map(content, "`top_k`", |fields| top_k(reader, fields)).map(Compression::TopK),
    }
}

fn top_k(reader: &Reader, fields: &Fields<'_>) -> Option<TopK> {
    let chunk = fields.or("chunk", [64, 64], |node| {
        let [height, width] = reader.list(node, "`chunk`")? else {
            return reader.report(node.place, "`chunk` has two sides", "write `[64, 64]`");
        };
        let sides = [height, width].map(|side| reader.integer(side, 1, 4096));
        let [height, width] = [sides[0]? as usize, sides[1]? as usize];
        if height * width > CHUNK_LEN_MAX {
            let message = format!("a chunk has at most {CHUNK_LEN_MAX} elements, not {}", height * width);
            return reader.report(node.place, message, "an index has 12 bits");
        }
        Some([height, width])
    });
    let k = fields.required("k", |node| reader.integer(node, 1, u64::MAX));
    if let (Some(k), Some([height, width])) = (k, chunk)
        && k > (height * width) as u64
    {
        let message = format!("k is {k}, but a chunk has only {} elements", height * width);
        reader.report::<()>(fields.place_of("k"), message, "lower `k` or enlarge `chunk`");
    }
    let bits = fields.or("value_bits", Some(2), |node| match reader.text(node, "2, 4, 8 or `none`")? {
        "none" => Some(None),
        "2" => Some(Some(2)),
        "4" => Some(Some(4)),
        "8" => Some(Some(8)),
        other => reader.report(node.place, format!("expected 2, 4, 8 or `none`, found `{other}`"), ""),
    });
    let coding = fields.or("values", ValueCoding::Packed, |node| {
        let variant = reader.variant(node, "value coding", &["packed", "byte"])?;
        Some(if variant.name == "byte" { ValueCoding::Byte } else { ValueCoding::Packed })
    });
    let range = fields.or("range", 6.0, |node| reader.positive(node));
    let index_coding = fields.or("index_coding", IndexCoding::Fixed, |node| {
        reader.variant(node, "index coding", &["fixed"]).map(|_| IndexCoding::Fixed)
    });
    let error_feedback = fields.or("error_feedback", Some(0.95), |node| match &node.value {
        Value::Scalar(text) if text == "none" => Some(None),
        _ => reader.share(node).map(Some),
    });
    let vectors = fields.or("vectors", VectorChunk::Side, |node| {
        let variant = reader.variant(node, "chunking of vectors", &["side", "area", "area_rate"])?;
        Some(match variant.name {
            "area" => VectorChunk::Area,
            "area_rate" => VectorChunk::AreaRate,
            _ => VectorChunk::Side,
        })
    });
    let even_k = fields.or("even_k", true, |node| reader.truth(node));
    let (bits, coding, range) = (bits?, coding?, range? as f32);
    Some(TopK {
        chunk: chunk?,
        vectors: vectors?,
        k: k? as usize,
        even_k: even_k?,
        quantizer: bits.map(|bits| Quantizer { bits, range, coding }),
        index_coding: index_coding?,
        error_feedback: error_feedback?.map(|decay| decay as f32),
    })
}

/// `sgd`, `nesterov` or `adamw`; a schedule runs over `steps`.
pub fn outer_optimizer(reader: &Reader, node: &Node, steps: u64) -> Option<OuterOptimizer> {
    let variant = reader.variant(node, "outer optimizer", &["sgd", "nesterov", "adamw"])?;
    let content = variant.content.or_else(|| reader.report(variant.place, "its parameters are missing", ""))?;
    if variant.name == "adamw" {
        return adamw(reader, content, steps).map(OuterOptimizer::Adamw);
    }
    reader.map(content, "the outer optimizer", |fields| {
        let learning_rate = fields.required("learning_rate", |node| reader.positive(node));
        if variant.name == "sgd" {
            return Some(OuterOptimizer::Sgd { learning_rate: learning_rate? as f32 });
        }
        let momentum = fields.or("momentum", 0.9, |node| below_one(reader, node));
        Some(OuterOptimizer::Nesterov { learning_rate: learning_rate? as f32, momentum: momentum? as f32 })
    })
}

fn below_one(reader: &Reader, node: &Node) -> Option<f64> {
    reader.number(node, "a number of at least 0 and below 1", |number| (0.0..1.0).contains(&number))
}

/// `AdamW` with its schedule over `steps`.
pub fn adamw(reader: &Reader, node: &Node, steps: u64) -> Option<AdamW> {
    reader.map(node, "`adamw`", |fields| {
        let learning_rate = fields.required("learning_rate", |node| reader.positive(node));
        let betas = fields.or("betas", [0.9, 0.95], |node| {
            let [first, second] = reader.list(node, "`betas`")? else {
                return reader.report(node.place, "there are two betas", "write `[0.9, 0.95]`");
            };
            let betas = [first, second].map(|beta| below_one(reader, beta).map(|beta| beta as f32));
            Some([betas[0]?, betas[1]?])
        });
        let epsilon = fields.or("epsilon", 1e-8, |node| reader.positive(node));
        let weight_decay = fields
            .or("weight_decay", 0.1, |node| reader.number(node, "a number of at least 0", |number| number >= 0.0));
        let gradient_clip = fields.or("gradient_clip", Some(1.0), |node| match &node.value {
            Value::Scalar(text) if text == "none" => Some(None),
            _ => reader.positive(node).map(Some),
        });
        let schedule = fields.or("schedule", Schedule::Constant, |node| schedule(reader, node, steps));
        Some(AdamW {
            learning_rate: learning_rate? as f32,
            betas: betas?,
            epsilon: epsilon? as f32,
            weight_decay: weight_decay? as f32,
            gradient_clip: gradient_clip?.map(|limit| limit as f32),
            schedule: schedule?,
        })
    })
}

fn schedule(reader: &Reader, node: &Node, steps: u64) -> Option<Schedule> {
    let variant = reader.variant(node, "schedule", &["constant", "cosine"])?;
    if variant.name == "constant" {
        return Some(Schedule::Constant);
    }
    let content = variant.content.or_else(|| reader.report(variant.place, "its parameters are missing", ""))?;
    reader.map(content, "`cosine`", |fields| {
        let warmup = fields.or("warmup", 0, |node| reader.integer(node, 0, u64::MAX));
        let last = fields.or("final", 0.1, |node| reader.share(node));
        let steps = fields.or("steps", steps, |node| reader.integer(node, 1, u64::MAX));
        let (warmup, steps) = (warmup?, steps?);
        if warmup > steps {
            let message = format!("a warm-up of {warmup} steps is longer than the schedule of {steps}");
            return reader.report(fields.place_of("warmup"), message, "steps are rounds times inner steps");
        }
        Some(Schedule::Cosine { warmup, last: last? as f32, steps })
    })
}
