//! What lies in an object store, and since when.
//!
//! Book-keeping only: the transfers to and from the store are flows of the [`Network`](super::Network), and the caller
//! puts an object when its upload has ended. An object is then there at once and for everybody: S3-like stores have
//! been consistent after a write since December 2020. A second put under a key replaces the object.
//!
//! Whether a payload was in time is decided by the store's last-modified date, which is not the uploader's to choose. For
//! an upload in one request it is the end of the upload. For a multipart upload, which is what clients do with
//! gigabytes, S3 documents the date of the initiation of the upload: such a payload counts as in time when it was
//! begun in time, though nobody could get it before it was complete. [`LastModified`] says which rule holds.
//!
//! Not modelled: clock skew of the store, access rights, limits on requests, failures, prices (they are computed from
//! the bytes moved and held).
//!
//! Source: Amazon S3 user guide, "Working with object metadata", note on Last-Modified.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::quantity::{Bytes, PeerId, Round};
use crate::sim::SimTime;

/// The name of an object; listed by round, then peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ObjectKey {
    /// The round to which it belongs.
    pub round: Round,
    /// Who wrote it.
    pub peer: PeerId,
    /// What it is.
    pub kind: ObjectKind,
}

/// What an object is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ObjectKind {
    /// An encoded pseudo-gradient.
    Payload,
    /// θ(t), from which a newcomer begins.
    Checkpoint,
    /// A few samples of θ(t), by which others see whether a peer is in step.
    Sync,
}

/// What the store knows of an object without its contents.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Object {
    /// Its size.
    pub bytes: Bytes,
    /// By the rule of the store.
    pub last_modified: SimTime,
    /// From when on it can be had.
    pub available: SimTime,
}

/// What the store's last-modified date means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LastModified {
    /// When the upload ended: uploads in one request.
    #[default]
    UploadEnd,
    /// When the upload began: multipart uploads on S3-like stores.
    UploadStart,
}

/// The objects of a store.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ObjectStore {
    rule: LastModified,
    #[serde(with = "pairs")]
    objects: BTreeMap<ObjectKey, Object>,
    held: Bytes,
}

impl ObjectStore {
    /// An empty store with a rule for its last-modified dates.
    #[must_use]
    pub const fn new(rule: LastModified) -> Self {
        Self { rule, objects: BTreeMap::new(), held: Bytes(0) }
    }

    /// Keeps an object whose upload began at `start` and has ended `now`; the object it replaces is returned.
    pub fn put(&mut self, key: ObjectKey, bytes: Bytes, start: SimTime, now: SimTime) -> Option<Object> {
        let last_modified = match self.rule {
            LastModified::UploadEnd => now,
            LastModified::UploadStart => start,
        };
        let replaced = self.objects.insert(key, Object { bytes, last_modified, available: now });
        self.held.0 += bytes.0;
        self.held.0 -= replaced.map_or(0, |object| object.bytes.0);
        replaced
    }

    /// What is known of an object, if it is there.
    #[must_use]
    pub fn head(&self, key: ObjectKey) -> Option<&Object> {
        self.objects.get(&key)
    }

    /// The bytes that a download of an object will move, if it is there.
    #[must_use]
    pub fn get(&self, key: ObjectKey) -> Option<Bytes> {
        self.head(key).map(|object| object.bytes)
    }

    /// The objects of a round, in order of their keys.
    pub fn list(&self, round: Round) -> impl Iterator<Item = (ObjectKey, &Object)> {
        let first = ObjectKey { round, peer: PeerId(0), kind: ObjectKind::Payload };
        self.objects.range(first..).take_while(move |(key, _)| key.round == round).map(|(&key, object)| (key, object))
    }

    /// Removes an object; `None` if there was none.
    pub fn remove(&mut self, key: ObjectKey) -> Option<Object> {
        let removed = self.objects.remove(&key);
        self.held.0 -= removed.map_or(0, |object| object.bytes.0);
        removed
    }

    /// Removes what belongs to rounds before `round`, as a bucket's retention rule does.
    pub fn remove_before(&mut self, round: Round) {
        let first = ObjectKey { round, peer: PeerId(0), kind: ObjectKind::Payload };
        let kept = self.objects.split_off(&first);
        let removed = std::mem::replace(&mut self.objects, kept);
        self.held.0 -= removed.values().map(|object| object.bytes.0).sum::<u64>();
    }

    /// Bytes of all objects together.
    #[must_use]
    pub const fn held(&self) -> Bytes {
        self.held
    }
}

/// A map as a list of pairs: text formats allow only strings as keys.
mod pairs {
    use std::collections::BTreeMap;

    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use super::{Object, ObjectKey};

    pub fn serialize<S: Serializer>(objects: &BTreeMap<ObjectKey, Object>, serializer: S) -> Result<S::Ok, S::Error> {
        objects.iter().collect::<Vec<_>>().serialize(serializer)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<BTreeMap<ObjectKey, Object>, D::Error> {
        Ok(Vec::<(ObjectKey, Object)>::deserialize(deserializer)?.into_iter().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn payload(round: u32, peer: u32) -> ObjectKey {
        ObjectKey { round: Round(round), peer: PeerId(peer), kind: ObjectKind::Payload }
    }

    fn at(seconds: u64) -> SimTime {
        SimTime::from_nanos(seconds * 1_000_000_000)
    }

    #[test]
    fn a_multipart_upload_is_dated_by_its_beginning() {
        for (rule, expected) in [(LastModified::UploadEnd, at(75)), (LastModified::UploadStart, at(60))] {
            let mut store = ObjectStore::new(rule);
            store.put(payload(0, 1), Bytes(5), at(60), at(75));
            let object = store.head(payload(0, 1)).unwrap();
            assert_eq!((object.last_modified, object.available), (expected, at(75)));
        }
    }

    #[test]
    fn a_second_put_replaces_the_first() {
        let mut store = ObjectStore::default();
        store.put(payload(0, 1), Bytes(5), at(0), at(1));
        assert!(store.put(payload(0, 1), Bytes(7), at(1), at(2)).is_some());
        assert_eq!((store.get(payload(0, 1)), store.held()), (Some(Bytes(7)), Bytes(7)));
    }

    #[test]
    fn a_round_is_listed_by_peer_and_old_rounds_can_go() {
        let mut store = ObjectStore::default();
        for (round, peer) in [(1, 3), (0, 9), (1, 2), (2, 0)] {
            store.put(payload(round, peer), Bytes(10), at(0), at(1));
        }
        assert_eq!(store.list(Round(1)).map(|(key, _)| key).collect::<Vec<_>>(), [payload(1, 2), payload(1, 3)]);
        store.remove_before(Round(1));
        assert_eq!((store.get(payload(0, 9)), store.held()), (None, Bytes(30)));
        store.remove(payload(2, 0));
        let text = serde_json::to_string(&store).unwrap();
        assert_eq!(serde_json::from_str::<ObjectStore>(&text).unwrap(), store);
        assert_eq!(store.held(), Bytes(20));
    }
}
