//! The same Llama by candle's automatic differentiation: slow, obvious, and what the hand-written passes are tested against.
//!
//! Only operations that have a backward pass are used: candle's fused RMSNorm, softmax and rotary embedding drop
//! gradients without an error.

use candle_core::{D, DType, Device, Result, Tensor, Var};

use super::llama::Network;

/// Base of the rotation's frequencies.
const ROTARY_BASE: f64 = 10_000.0;

/// Added to the mean square in an RMSNorm.
const EPSILON: f64 = 1e-5;

/// A Llama whose parameters are candle variables.
#[derive(Debug)]
pub struct Oracle<'a> {
    network: &'a Network,
    /// In the layout's order.
    variables: Vec<Var>,
}

impl<'a> Oracle<'a> {
    /// A model of the network's shape at `theta`.
    ///
    /// # Errors
    /// If candle fails.
    pub fn new(network: &'a Network, theta: &[f32]) -> Result<Self> {
        let tensors = network.layout().tensors().iter();
        let variables = tensors
            .map(|tensor| Var::from_slice(&theta[tensor.range()], tensor.shape.as_slice(), &Device::Cpu))
            .collect::<Result<_>>()?;
        Ok(Self { network, variables })
    }

    /// Mean loss of rows of T + 1 tokens \[nats per token\], and its gradient as one flat buffer.
    ///
    /// # Errors
    /// If candle fails.
    pub fn gradient(&self, tokens: &[u32]) -> Result<(f64, Vec<f32>)> {
        let loss = self.loss(tokens)?;
        let gradients = loss.backward()?;
        let mut flat = Vec::with_capacity(self.network.layout().parameters());
        for variable in &self.variables {
            let gradient =
                gradients.get(variable).map_or_else(|| variable.zeros_like(), |tensor| Ok(tensor.clone()))?;
            flat.extend(gradient.flatten_all()?.to_vec1::<f32>()?);
        }
        Ok((f64::from(loss.to_scalar::<f32>()?), flat))
    }

    fn loss(&self, tokens: &[u32]) -> Result<Tensor> {
        let shape = self.network.shape();
        let (context, width) = (shape.context, shape.width);
        let sequences = tokens.len() / (context + 1);
        let rows = Tensor::from_slice(tokens, (sequences, context + 1), &Device::Cpu)?;
        let inputs = rows.narrow(1, 0, context)?.contiguous()?.flatten_all()?;
        let targets = rows.narrow(1, 1, context)?.contiguous()?.flatten_all()?;

        let mut variables = self.variables.iter().map(Var::as_tensor);
        let mut next = || variables.next().expect("because the layout names every tensor of the shape");
        let embedding = next();
        // [B·T, D]
        let mut x = embedding.index_select(&inputs, 0)?;
        for _ in 0..shape.layers {
            let normed = rms_norm(&x, next())?;
            let [q, k, v] = [next(), next(), next()].map(|weight| normed.matmul(&weight.t()?));
            x = (x + self.attention(&q?, &k?, &v?, sequences)?.matmul(&next().t()?)?)?;
            let normed = rms_norm(&x, next())?;
            let [gate, up] = [next(), next()].map(|weight| normed.matmul(&weight.t()?));
            x = (x + (gate?.silu()? * up?)?.matmul(&next().t()?)?)?;
        }
        let normed = rms_norm(&x, next())?;
        let head = if shape.tied { embedding } else { next() };
        debug_assert_eq!(normed.dims(), [sequences * context, width]);
        // [B·T, V]
        let logits = normed.matmul(&head.t()?)?;
        let aims = logits.gather(&targets.unsqueeze(1)?, 1)?.squeeze(1)?;
        (log_sum_exp(&logits)? - aims)?.mean_all()
    }

    fn attention(&self, q: &Tensor, k: &Tensor, v: &Tensor, sequences: usize) -> Result<Tensor> {
        let shape = self.network.shape();
        let (context, width) = (shape.context, shape.width / shape.heads);
        let group = shape.heads / shape.kv_heads;
        // [B, heads, T, d]
        let split =
            |x: &Tensor, heads: usize| x.reshape((sequences, context, heads, width))?.transpose(1, 2)?.contiguous();
        let repeat = |x: &Tensor| {
            let wide = (sequences, shape.kv_heads, group, context, width);
            x.unsqueeze(2)?.broadcast_as(wide)?.contiguous()?.reshape((sequences, shape.heads, context, width))
        };
        let q = self.rotate(&split(q, shape.heads)?)?;
        let k = repeat(&self.rotate(&split(k, shape.kv_heads)?)?)?;
        let v = repeat(&split(v, shape.kv_heads)?)?;
        let mask: Vec<f32> = (0..context)
            .flat_map(|t| (0..context).map(move |s| if s <= t { 0.0 } else { f32::NEG_INFINITY }))
            .collect();
        let mask = Tensor::from_vec(mask, (context, context), &Device::Cpu)?;
        let scores = (q.matmul(&k.t()?.contiguous()?)? / (width as f64).sqrt())?.broadcast_add(&mask)?;
        let weights = scores.broadcast_sub(&scores.max_keepdim(D::Minus1)?.detach())?.exp()?;
        let weights = weights.broadcast_div(&weights.sum_keepdim(D::Minus1)?)?;
        weights.matmul(&v)?.transpose(1, 2)?.contiguous()?.reshape((sequences * context, shape.width))
    }

    /// x·cos + `rotate_half(x)`·sin, with `rotate_half`(\[a, b\]) = \[−b, a\], as Hugging Face writes it.
    fn rotate(&self, x: &Tensor) -> Result<Tensor> {
        let (_, _, context, width) = x.dims4()?;
        let half = width / 2;
        let angle = |t: usize, i: usize| t as f64 * ROTARY_BASE.powf(-((2 * i) as f64) / width as f64);
        let table = |f: fn(f64) -> f64| {
            let values: Vec<f32> =
                (0..context).flat_map(|t| (0..width).map(move |i| f(angle(t, i % half)) as f32)).collect();
            Tensor::from_vec(values, (context, width), &Device::Cpu)
        };
        let turned = Tensor::cat(&[x.narrow(3, half, half)?.neg()?, x.narrow(3, 0, half)?], 3)?;
        x.broadcast_mul(&table(f64::cos)?)? + turned.broadcast_mul(&table(f64::sin)?)?
    }
}

fn rms_norm(x: &Tensor, gain: &Tensor) -> Result<Tensor> {
    debug_assert_eq!(x.dtype(), DType::F32);
    let mean_square = x.sqr()?.mean_keepdim(D::Minus1)?;
    x.broadcast_div(&(mean_square + EPSILON)?.sqrt()?)?.broadcast_mul(gain)
}

/// ln Σ e^z over the last dimension.
fn log_sum_exp(z: &Tensor) -> Result<Tensor> {
    let max = z.max_keepdim(D::Minus1)?.detach();
    z.broadcast_sub(&max)?.exp()?.sum_keepdim(D::Minus1)?.log()?.add(&max)?.squeeze(D::Minus1)
}
