//! Peers, their sessions, and the rule of a round.

use crate::cost::{Device, Distribution, device};
use crate::protocol::spec::{Arrivals, Availability, Barrier, Compute, Jitter, PeerClass, RoundRule, Wait, Window};
use crate::quantity::Duration;
use crate::scenario::document::Node;
use crate::scenario::reader::{Fields, Reader, meant};

/// Most identities of a class.
const PEERS_MAX: u64 = 1_000_000;

/// The list of peer classes.
pub fn peers(reader: &Reader, node: &Node) -> Option<Vec<PeerClass>> {
    let items = reader.list(node, "`peers`")?;
    if items.is_empty() {
        return reader.report(node.place, "a swarm needs at least one peer", "");
    }
    let classes: Vec<Option<PeerClass>> =
        items.iter().map(|item| reader.map(item, "a peer class", |fields| class(reader, fields))).collect();
    for (index, item) in items.iter().enumerate() {
        let name = |index: usize| classes[index].as_ref().map(|class| class.name.as_str());
        if name(index).is_some() && (0..index).any(|earlier| name(earlier) == name(index)) {
            reader.report::<()>(item.place, format!("there are two classes `{}`", name(index)?), "rename one");
        }
    }
    classes.into_iter().collect()
}

fn class(reader: &Reader, fields: &Fields<'_>) -> Option<PeerClass> {
    let name = fields.required("name", |node| reader.text(node, "a name").map(str::to_owned));
    let count = fields.required("count", |node| reader.integer(node, 1, PEERS_MAX));
    let device = fields.optional("device", |node| device(reader, node));
    let step_time = fields.optional("step_time", |node| reader.span(node));
    let jitter = fields.or("jitter", Jitter { peer: 0.0, step: 0.02 }, |node| {
        reader.map(node, "jitter", |fields| {
            let sigma = |node: &Node| reader.number(node, "a number of at least 0", |number| number >= 0.0);
            let (peer, step) = (fields.or("peer", 0.0, sigma), fields.or("step", 0.02, sigma));
            Some(Jitter { peer: peer?, step: step? })
        })
    });
    let uplink = fields.required("uplink", |node| reader.bandwidths(node));
    let downlink = fields.required("downlink", |node| reader.bandwidths(node));
    let latency = fields.or("latency", Distribution::Fixed(0.05), |node| reader.durations(node));
    let availability = fields.optional("availability", |node| {
        reader.map(node, "availability", |fields| {
            let session = fields.required("session", |node| reader.durations(node));
            let absence = fields.required("absence", |node| reader.durations(node));
            let crash = fields.or("crash", 0.0, |node| reader.share(node));
            let residence = fields.optional("residence", |node| reader.durations(node));
            Some(Availability { session: session?, absence: absence?, crash: crash?, residence: residence? })
        })
    });
    let arrivals = fields.optional("arrivals", |node| {
        reader.map(node, "arrivals", |fields| {
            let mean_interval = fields.required("mean_interval", |node| reader.span(node));
            let cap = fields.required("cap", |node| reader.integer(node, 1, PEERS_MAX));
            Some(Arrivals { mean_interval: mean_interval?, cap: cap? as u32 })
        })
    });
    let compute = match (device?, step_time?) {
        (Some(device), None) => Compute::Device(device),
        (None, Some(time)) => Compute::StepTime(time),
        _ => return reader.report(fields.place(), "give either `device` or `step_time`", ""),
    };
    Some(PeerClass {
        name: name?,
        count: count? as u32,
        compute,
        jitter: jitter?,
        uplink: uplink?,
        downlink: downlink?,
        latency: latency?,
        availability: availability?,
        arrivals: arrivals?,
    })
}

pub(super) fn device(reader: &Reader, node: &Node) -> Option<Device> {
    reader.map(node, "device", |fields| {
        let model = fields.required("name", |node| {
            let name = reader.text(node, "the name of a device")?;
            device::find(name).or_else(|| {
                let known: Vec<&str> = device::DEVICES.iter().map(|device| device.name).collect();
                let message = format!("`{name}` is no known device; expected one of {}", known.join(", "));
                reader.report(node.place, message, meant(name, &known))
            })
        });
        let count = fields.or("count", 1, |node| reader.integer(node, 1, 1_000_000));
        let model = model?;
        Some(Device { name: model.name.to_owned(), count: count? as u32, tflops: model.tflops })
    })
}

/// `window: {…}` or `barrier: {…}`.
pub fn round(reader: &Reader, node: &Node) -> Option<RoundRule> {
    let variant = reader.variant(node, "round rule", &["window", "barrier"])?;
    if variant.name == "barrier" {
        let Some(content) = variant.content else {
            return Some(RoundRule::Barrier(Barrier { wait: Wait::All, timeout: None }));
        };
        return reader.map(content, "`barrier`", |fields| {
            let wait = fields.or("wait", Wait::All, |node| {
                let variant = reader.variant(node, "wait", &["all", "quorum"])?;
                match (variant.name, variant.content) {
                    ("all", _) => Some(Wait::All),
                    (_, Some(share)) => reader.share(share).map(Wait::Quorum),
                    (_, None) => reader.report(variant.place, "a quorum is a share", "write `{quorum: 0.8}`"),
                }
            });
            let timeout = fields.optional("timeout", |node| reader.span(node));
            Some(RoundRule::Barrier(Barrier { wait: wait?, timeout: timeout? }))
        });
    }
    let content = variant.content.or_else(|| reader.report(variant.place, "its parameters are missing", ""))?;
    reader.map(content, "`window`", |fields| window(reader, fields)).map(RoundRule::Window)
}

fn window(reader: &Reader, fields: &Fields<'_>) -> Option<Window> {
    let length = fields.required("length", |node| reader.span(node));
    let upload_deadline = fields.required("upload_deadline", |node| reader.span(node));
    let gather = fields.required("gather", |node| reader.integer(node, 1, PEERS_MAX));
    let reserve = fields.or("reserve", 0, |node| reader.integer(node, 0, PEERS_MAX));
    let gather_timeout = fields.or("gather_timeout", Duration::from_secs(600), |node| reader.span(node));
    let (length, upload_deadline) = (length?, upload_deadline?);
    if upload_deadline >= length {
        let message = format!("an upload deadline of {upload_deadline} is not shorter than the window of {length}");
        return reader.report(fields.place_of("upload_deadline"), message, "");
    }
    Some(Window {
        length,
        upload_deadline,
        gather: gather? as u32,
        reserve: reserve? as u32,
        gather_timeout: gather_timeout?,
    })
}
