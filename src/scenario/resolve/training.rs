//! The proxy model, its data, the inner optimizer.

use std::path::PathBuf;

use super::algorithm;
use crate::scenario::document::Node;
use crate::scenario::reader::{Fields, Reader};
use crate::training::spec::{Data, InnerOptimizer, Llama, Model, Quadratic, Tokenizer};

/// `llama: {…}` or `quadratic: {…}`.
pub fn model(reader: &Reader, node: &Node) -> Option<Model> {
    let variant = reader.variant(node, "model", &["llama", "quadratic"])?;
    let content = variant.content.or_else(|| reader.report(variant.place, "its parameters are missing", ""))?;
    if variant.name == "llama" {
        return llama(reader, content).map(Model::Llama);
    }
    let at_least_zero = |node: &Node| reader.number(node, "a number of at least 0", |number| number >= 0.0);
    reader.map(content, "`quadratic`", |fields| {
        let dimension = fields.required("dimension", |node| reader.integer(node, 1, 1 << 32));
        let condition =
            fields.or("condition", 100.0, |node| reader.number(node, "a number of at least 1", |number| number >= 1.0));
        let noise = fields.or("noise", 0.0, at_least_zero);
        let heterogeneity = fields.or("heterogeneity", 0.0, at_least_zero);
        Some(Model::Quadratic(Quadratic {
            dimension: dimension? as usize,
            condition: condition?,
            noise: noise?,
            heterogeneity: heterogeneity?,
        }))
    })
}

/// A directory with a model to start from; what is in it is read when the run begins.
pub fn initial_model(reader: &Reader, node: &Node, model: Option<&Model>) -> Option<PathBuf> {
    let directory = PathBuf::from(reader.text(node, "a directory")?);
    if !matches!(model, Some(Model::Llama(_)) | None) {
        return reader.report(node.place, "only a `llama` starts from a directory", "leave `initial_model` out");
    }
    if !directory.join("config.json").is_file() {
        let message = format!("`{}` holds no `config.json`", directory.display());
        return reader.report(node.place, message, "a finished run leaves its model in `RUN/model`");
    }
    Some(directory)
}

/// The shape of a Llama.
pub fn llama(reader: &Reader, node: &Node) -> Option<Llama> {
    reader.map(node, "`llama`", |fields| {
        let size = |name| fields.required(name, |node| reader.integer(node, 1, 1 << 24).map(|size| size as usize));
        let (layers, width, heads) = (size("layers"), size("width"), size("heads"));
        let kv_heads = fields.optional("kv_heads", |node| reader.integer(node, 1, 1 << 24));
        let (feed_forward, context, vocabulary) = (size("feed_forward"), size("context"), size("vocabulary"));
        let tied = fields.or("tied", false, |node| reader.truth(node));
        let (width, heads) = (width?, heads?);
        let kv_heads = kv_heads?.map_or(heads, |count| count as usize);
        check_heads(reader, fields, width, heads, kv_heads)?;
        Some(Llama {
            layers: layers?,
            width,
            heads,
            kv_heads,
            feed_forward: feed_forward?,
            context: context?,
            vocabulary: vocabulary?,
            tied: tied?,
        })
    })
}

fn check_heads(reader: &Reader, fields: &Fields<'_>, width: usize, heads: usize, kv_heads: usize) -> Option<()> {
    if !width.is_multiple_of(heads) {
        let message = format!("{heads} heads do not divide a width of {width}");
        return reader.report(fields.place_of("heads"), message, "");
    }
    if !(width / heads).is_multiple_of(2) {
        let message = format!("a head of width {} cannot be rotated in pairs", width / heads);
        return reader.report(fields.place_of("heads"), message, "`width / heads` is even");
    }
    if !heads.is_multiple_of(kv_heads) {
        let message = format!("{kv_heads} key and value heads do not divide {heads} heads");
        return reader.report(fields.place_of("kv_heads"), message, "");
    }
    Some(())
}

/// `text: {…}` or `markov: {…}`.
pub fn data(reader: &Reader, node: &Node, model: Option<&Model>) -> Option<Data> {
    let variant = reader.variant(node, "data", &["text", "markov"])?;
    let content = variant.content.or_else(|| reader.report(variant.place, "its parameters are missing", ""))?;
    if variant.name == "markov" {
        return reader.map(content, "`markov`", |fields| {
            let concentration = fields.required("concentration", |node| reader.positive(node));
            Some(Data::Markov { concentration: concentration? })
        });
    }
    reader.map(content, "`text`", |fields| {
        let files = fields.required("files", |node| files(reader, node));
        let tokenizer = fields.or("tokenizer", Tokenizer::Bytes, |node| {
            let text = reader.text(node, "`bytes` or the path of a `tokenizer.json`")?;
            if text == "bytes" {
                return Some(Tokenizer::Bytes);
            }
            let path = PathBuf::from(text);
            if !path.is_file() {
                let message = format!("there is no file `{text}`");
                return reader.report(node.place, message, "expected `bytes` or the path of a `tokenizer.json`");
            }
            Some(Tokenizer::HuggingFace(path))
        });
        let validation = fields.or("validation", 0.05, |node| {
            reader.number(node, "a number above 0 and below 1", |number| number > 0.0 && number < 1.0)
        });
        let (files, tokenizer, validation) = (files?, tokenizer?, validation?);
        if let (Tokenizer::Bytes, Some(Model::Llama(llama))) = (&tokenizer, model) {
            if llama.vocabulary < 256 {
                let message = format!("bytes need a vocabulary of 256, the model has {}", llama.vocabulary);
                return reader.report(fields.place(), message, "set `model.llama.vocabulary: 256`");
            }
            let bytes: u64 = files.iter().filter_map(|file| file.metadata().ok()).map(|data| data.len()).sum();
            let held_out = bytes as f64 * validation;
            let needed = (llama.context + 1) as f64;
            if held_out < needed || bytes as f64 - held_out < needed {
                let message = format!(
                    "the corpus of {bytes} bytes is too short: a context of {} needs {needed} in each of its two parts",
                    llama.context
                );
                return reader.report(fields.place_of("files"), message, "");
            }
        }
        Some(Data::Text { files, tokenizer, validation })
    })
}

fn files(reader: &Reader, node: &Node) -> Option<Vec<PathBuf>> {
    let mut files = Vec::new();
    for item in reader.list(node, "`files`")? {
        let pattern = reader.text(item, "a file or a pattern such as `data/*.txt`")?;
        let paths = match glob::glob(pattern) {
            Ok(paths) => paths,
            Err(error) => return reader.report(item.place, format!("`{pattern}` is no pattern: {error}"), ""),
        };
        let before = files.len();
        files.extend(paths.filter_map(Result::ok).filter(|path| path.is_file()));
        files[before..].sort();
        if files.len() == before {
            let message = format!("no file matches `{pattern}`");
            let hint =
                "paths are relative to the current directory; `scripts/fetch-corpus.sh` brings Shakespeare's works";
            return reader.report(item.place, message, hint);
        }
    }
    if files.is_empty() {
        return reader.report(node.place, "`files` names no file", "");
    }
    Some(files)
}

/// `adamw: {…}`, `sgd: {…}` or `gradient`; a schedule runs over `steps`.
pub fn inner_optimizer(reader: &Reader, node: &Node, steps: u64) -> Option<InnerOptimizer> {
    let variant = reader.variant(node, "inner optimizer", &["adamw", "sgd", "gradient"])?;
    if variant.name == "gradient" {
        return Some(InnerOptimizer::Gradient);
    }
    let content = variant.content.or_else(|| reader.report(variant.place, "its parameters are missing", ""))?;
    if variant.name == "adamw" {
        return algorithm::adamw(reader, content, steps).map(InnerOptimizer::Adamw);
    }
    reader.map(content, "`sgd`", |fields| {
        let learning_rate = fields.required("learning_rate", |node| reader.positive(node));
        Some(InnerOptimizer::Sgd { learning_rate: learning_rate? as f32 })
    })
}
