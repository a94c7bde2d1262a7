//! The text identity of a key: what it is called outside of this process.

use std::fmt;

use serde::Serialize;
use serde::de::DeserializeOwned;
use xxhash_rust::xxh3::{xxh3_64_with_seed, xxh3_128};

use crate::rt;

/// A text that is longer travels as its hash.
const LONGEST: usize = 256;
/// Sets [`KeyText::hash`] apart from the hash that a long text travels as: two texts that share one do not share both.
const SEED: u64 = 0x6879_6272_6964_2d6b;

/// The text of a key: the JSON of its owned form, or `#` and the 128-bit hash of that in hex where it is longer than
/// 256 bytes.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct KeyText {
    text: String,
    hash: u64,
}

impl KeyText {
    fn new(json: String) -> Self {
        let hash = xxh3_64_with_seed(json.as_bytes(), SEED);
        let text = if json.len() > LONGEST { format!("#{:032x}", xxh3_128(json.as_bytes())) } else { json };
        Self { text, hash }
    }

    /// What stands in the remote key and in messages.
    pub(crate) fn as_str(&self) -> &str {
        &self.text
    }

    /// A hash of the whole JSON, whatever of it travels: it marks records.
    pub(crate) fn hash(&self) -> u64 {
        self.hash
    }
}

/// Writes and reads the texts of keys. Made where it is known that `K` can be written and read.
pub(crate) struct Spelling<K> {
    spell: fn(&K) -> Option<KeyText>,
    read: fn(&str) -> Option<K>,
}

impl<K: Serialize + DeserializeOwned + Eq> Spelling<K> {
    pub(crate) fn new() -> Self {
        Self {
            spell: |key| {
                let json = serde_json::to_string(key).ok()?;
                let read: K = serde_json::from_str(&json).ok()?;
                // Two keys that have the same text (a field that serde skips, an untagged enum) cannot both be equal to
                // what it reads as: the other one would be served this one's value.
                (read == *key).then(|| KeyText::new(json))
            },
            read: |text| serde_json::from_str(text).ok(),
        }
    }
}

impl<K> Spelling<K> {
    /// The text of a key. `None` if it has none, or none of its own: such a key stays off remote tiers. Equal keys
    /// have to be written alike, as they have to hash alike. User code runs (`Serialize`, `Deserialize`, `Eq`); if it
    /// panics, that is the same as having none.
    pub(crate) fn spell(&self, key: &K) -> Option<KeyText> {
        rt::guarded("key", || (self.spell)(key)).flatten()
    }

    /// The key of a text. `None` if it travelled as a hash, or is no key of this cache.
    pub(crate) fn read(&self, text: &str) -> Option<K> {
        rt::guarded("key", || (self.read)(text)).flatten()
    }
}

impl<K> Clone for Spelling<K> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<K> Copy for Spelling<K> {}

impl<K> fmt::Debug for Spelling<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Spelling")
    }
}

/// Where the records of a cache are: `{hc:<namespace>:0}<name>:v<version>:<text>`.
///
/// No two of them meet, whatever is in a name: a text is JSON or a hash, and neither ends in `:v`, digits, `:` and
/// another text. (Outside of a string no JSON has a `:v`, and what follows one in a string has a quote too many.)
#[derive(Clone, Debug)]
pub(crate) struct Place {
    before: String,
    version: u32,
    /// All that stands before the texts of this version.
    own: String,
}

impl Place {
    /// The records of version `version` of the cache `name`. A namespace has no braces.
    pub(crate) fn new(namespace: &str, name: &str, version: u32) -> Self {
        debug_assert!(!namespace.contains(['{', '}', ':']), "the manager refuses such a namespace");
        let before = format!("{{hc:{namespace}:0}}{name}:v");
        Self { own: format!("{before}{version}:"), before, version }
    }

    /// The remote key of a key.
    pub(crate) fn key(&self, text: &KeyText) -> Vec<u8> {
        let mut key = Vec::with_capacity(self.own.len() + text.text.len());
        key.extend_from_slice(self.own.as_bytes());
        key.extend_from_slice(text.text.as_bytes());
        key
    }

    /// The remote keys of a key that an eviction removes: one for each of [`versions_to_evict`].
    pub(crate) fn keys_to_evict(&self, text: &KeyText) -> impl Iterator<Item = Vec<u8>> {
        versions_to_evict(self.version).map(|version| self.key_of(version, text.as_str()))
    }

    /// The remote key of a key of another version.
    pub(crate) fn key_of(&self, version: u32, text: &str) -> Vec<u8> {
        format!("{}{version}:{text}", self.before).into_bytes()
    }
}

/// This version, the one before and the one after, so that both sides of a rolling deploy are heard.
pub(crate) fn versions_to_evict(version: u32) -> impl Iterator<Item = u32> {
    [version.checked_sub(1), Some(version), version.checked_add(1)].into_iter().flatten()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde::Deserialize;
    use std::collections::HashSet;

    fn spelled<K: Serialize + DeserializeOwned + Eq>(key: &K) -> Option<String> {
        Spelling::new().spell(key).map(|text| text.as_str().to_owned())
    }

    /// Strings that look like what stands around a text.
    fn nasty() -> impl Strategy<Value = String> {
        const PARTS: &[&str] =
            &[":", "v", "1", ":v1:", "\"", "\\", "{", "}", "[", "]", ",", "#", "null", "\0", "\n", "é"];
        prop::collection::vec(prop::sample::select(PARTS), 0..12).prop_map(|parts| parts.concat())
    }

    proptest! {
        #[test]
        fn a_text_is_read_back_and_is_its_own(one: (u64, String, Option<bool>), other: (u64, String, Option<bool>)) {
            let spelling = Spelling::new();
            let text = spelling.spell(&one).unwrap();
            prop_assert_eq!(spelling.read(text.as_str()), (!text.as_str().starts_with('#')).then(|| one.clone()));
            let other_text = spelling.spell(&other).unwrap();
            prop_assert_eq!(one == other, text == other_text);
        }

        #[test]
        fn every_byte_can_be_in_a_key(bytes: Vec<u8>, text: String, c: char, wide: i128) {
            let key = (bytes, text, c, wide);
            let text = Spelling::new().spell(&key).unwrap();
            prop_assert!(text.as_str().len() <= LONGEST);
            if !text.as_str().starts_with('#') {
                prop_assert_eq!(Spelling::new().read(text.as_str()), Some(key));
            }
        }

        #[test]
        fn no_two_places_meet(
            names in (nasty(), nasty()), versions in (0..20_u32, 0..20_u32), keys in (nasty(), nasty()),
            numbers in (0..3_u8, 0..3_u8), shape in (0..3_u8, 0..3_u8),
        ) {
            fn text(key: &str, number: u8, shape: u8) -> KeyText {
                match shape {
                    0 => Spelling::new().spell(&key.to_owned()),
                    1 => Spelling::new().spell(&(number, key.to_owned())),
                    _ => Spelling::new().spell(&number),
                }
                .unwrap()
            }
            let one = text(&keys.0, numbers.0, shape.0);
            let other = text(&keys.1, numbers.1, shape.1);
            // The second name begins with the whole of the first record's key, or is just another.
            let within = format!("{}:v{}:{}", names.0, versions.0, keys.0);
            for name in [&names.1, &names.0, &within] {
                let same = names.0 == *name && versions.0 == versions.1 && one == other;
                let places = (Place::new("ns", &names.0, versions.0), Place::new("ns", name, versions.1));
                prop_assert_eq!(places.0.key(&one) == places.1.key(&other), same);
            }
        }
    }

    #[test]
    fn a_text_is_json() {
        assert_eq!(spelled(&(7_u64, "e\"n".to_owned(), None::<u8>)).unwrap(), r#"[7,"e\"n",null]"#);
        assert_eq!(spelled(&()).unwrap(), "null");
        assert_eq!(spelled(&b"\0\xff".to_vec()).unwrap(), "[0,255]");
    }

    #[test]
    fn a_long_text_travels_as_its_hash() {
        let fits = "x".repeat(LONGEST - 2);
        assert_eq!(spelled(&fits).unwrap(), format!("\"{fits}\""));
        let long = "x".repeat(LONGEST - 1);
        let text = Spelling::new().spell(&long).unwrap();
        assert!(text.as_str().starts_with('#') && text.as_str().len() == 33, "{text:?}");
        assert_eq!(Spelling::<String>::new().read(text.as_str()), None, "and is not read back");
        assert_ne!(text, Spelling::new().spell(&format!("{long}y")).unwrap());
    }

    #[test]
    fn the_hash_is_that_of_the_whole_text() {
        let (long, other) = ("x".repeat(5_000), "y".repeat(5_000));
        let (long, other) = (Spelling::new().spell(&long).unwrap(), Spelling::new().spell(&other).unwrap());
        assert_ne!(long.hash(), other.hash());
        assert_ne!(format!("{:016x}", long.hash()), long.as_str()[17..], "it is independent of the one that travels");
    }

    #[test]
    fn a_key_without_a_text_of_its_own_has_none() {
        #[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
        struct Tenant {
            id: u64,
            #[serde(skip)]
            secret: u64,
        }
        assert!(spelled(&Tenant { id: 1, secret: 0 }).is_some(), "this one is what its text reads as");
        assert_eq!(spelled(&Tenant { id: 1, secret: 2 }), None);

        #[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
        #[serde(untagged)]
        enum Id {
            Old(u32),
            New(u64),
        }
        assert!(spelled(&Id::Old(1)).is_some());
        assert_eq!(spelled(&Id::New(1)), None);

        assert_eq!(spelled(&Some(())), None, "`Some(())` reads as `None`");
        let by_pair = std::collections::BTreeMap::from([((1, 2), 3)]);
        assert_eq!(spelled(&by_pair), None, "JSON has no such map");
    }

    #[test]
    fn a_key_whose_code_panics_has_no_text() {
        #[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
        struct Even(#[serde(deserialize_with = "even")] u64);

        fn even<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
            let number = u64::deserialize(deserializer)?;
            assert!(number % 2 == 0, "odd");
            Ok(number)
        }
        assert_eq!(spelled(&Even(2)).unwrap(), "2");
        assert_eq!(spelled(&Even(3)), None);
        assert!(Spelling::<Even>::new().read("3").is_none());
    }

    #[test]
    fn a_foreign_text_is_no_key() {
        for text in ["", "#", "[7", "[7,8,9]", "\"x\"", "#0123456789abcdef0123456789abcdef"] {
            assert_eq!(Spelling::<(u64, u64)>::new().read(text), None, "{text}");
        }
        let deep = "[".repeat(100_000);
        assert_eq!(Spelling::<Vec<Vec<u8>>>::new().read(&deep), None);
    }

    #[test]
    fn an_eviction_reaches_the_neighbouring_versions() {
        let text = Spelling::new().spell(&7_u64).unwrap();
        let keys = |version| -> Vec<String> {
            let place = Place::new("shop", "users", version);
            assert!(place.keys_to_evict(&text).collect::<HashSet<_>>().contains(&place.key(&text)));
            place.keys_to_evict(&text).map(|key| String::from_utf8(key).unwrap()).collect()
        };
        assert_eq!(keys(2), ["{hc:shop:0}users:v1:7", "{hc:shop:0}users:v2:7", "{hc:shop:0}users:v3:7"]);
        assert_eq!(keys(0), ["{hc:shop:0}users:v0:7", "{hc:shop:0}users:v1:7"]);
        assert_eq!(keys(u32::MAX).len(), 2);
    }
}
