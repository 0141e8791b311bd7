//! What a key's value is: how it is read and shown, and what it may be beside that.

use super::Keys;
use crate::conf::model::At;
use crate::conf::read::{Item, Reader};
use toml::de::DeValue;

/// The sort of what is inside.
macro_rules! same_sort {
    ($inner:tt) => {
        fn wanted(&self) -> String {
            self.$inner.wanted()
        }

        fn range(&self) -> Option<String> {
            self.$inner.range()
        }

        fn fits(&self, value: &DeValue<'_>) -> bool {
            self.$inner.fits(value)
        }
    };
}

/// What a value must be.
pub(in crate::conf) trait Sort: Sync {
    /// As the end of a sentence: "a string".
    fn wanted(&self) -> String;

    /// Which values of that sort are allowed, unless all are.
    fn range(&self) -> Option<String> {
        None
    }

    /// Whether a value is of that sort at all, where something else is allowed beside it.
    fn fits(&self, _value: &DeValue<'_>) -> bool {
        true
    }
}

/// How a `V` stands in a file.
pub(in crate::conf) trait Kind<V>: Sort {
    /// The value of an item; `None` after it has reported what is wrong with it.
    fn read(&self, reader: &mut Reader<'_>, item: &Item<'_>) -> Option<V>;

    /// The value as it is written; `None` if leaving the key out says the same.
    fn show(&self, value: &V) -> Option<String>;
}

/// The value of a key in a table `T` of the model.
pub(in crate::conf) trait Value<T>: Sync {
    /// Puts the value of an item in its place. Returns whether it is right.
    fn read(&self, reader: &mut Reader<'_>, item: &Item<'_>, into: &mut T) -> bool;

    /// See [`Kind::show`].
    fn show(&self, from: &T) -> Option<String>;

    /// What it must be.
    #[cfg(test)]
    fn sort(&self) -> &dyn Sort;
}

/// A field of the model; see `at!`.
pub(in crate::conf) struct Field<T, V, K> {
    pub kind: K,
    pub get: fn(&T) -> &V,
    pub get_mut: fn(&mut T) -> &mut V,
}

impl<T, V, K: Kind<V>> Value<T> for Field<T, V, K> {
    fn read(&self, reader: &mut Reader<'_>, item: &Item<'_>, into: &mut T) -> bool {
        let value = self.kind.read(reader, item);
        value.map(|value| *(self.get_mut)(into) = value).is_some()
    }

    fn show(&self, from: &T) -> Option<String> {
        self.kind.show((self.get)(from))
    }

    #[cfg(test)]
    fn sort(&self) -> &dyn Sort {
        &self.kind
    }
}

/// A kind that only one key has.
pub(in crate::conf) struct Own<V: 'static> {
    pub wanted: &'static str,
    pub read: fn(&mut Reader<'_>, &Item<'_>) -> Option<V>,
    pub show: fn(&V) -> Option<String>,
}

impl<V> Sort for Own<V> {
    fn wanted(&self) -> String {
        self.wanted.to_owned()
    }
}

impl<V> Kind<V> for Own<V> {
    fn read(&self, reader: &mut Reader<'_>, item: &Item<'_>) -> Option<V> {
        (self.read)(reader, item)
    }

    fn show(&self, value: &V) -> Option<String> {
        (self.show)(value)
    }
}

impl<V> Own<V> {
    /// A key that is read and shown by code of another sort.
    pub(super) const fn by_hand(wanted: &'static str) -> Self {
        Self { wanted, read: |_, _| None, show: |_| None }
    }
}

/// A table with fixed keys, inline or with a header of its own.
pub(in crate::conf) struct Nested<V: 'static>(pub &'static Keys<V>);

impl<V> Sort for Nested<V> {
    fn wanted(&self) -> String {
        "a table".to_owned()
    }
}

impl<V> Kind<V> for Nested<V> {
    fn read(&self, reader: &mut Reader<'_>, item: &Item<'_>) -> Option<V> {
        let table = reader.table(item, self.0)?;
        self.0.whole(reader, table)
    }

    fn show(&self, value: &V) -> Option<String> {
        Some(self.0.inline(value))
    }
}

/// One of the variants of an enum of the model, which has a value.
pub(in crate::conf) struct Variant<E: 'static, V: 'static, K> {
    pub kind: K,
    pub of: fn(V) -> E,
    pub get: fn(&E) -> Option<&V>,
}

impl<E, V, K: Kind<V>> Kind<E> for Variant<E, V, K> {
    fn read(&self, reader: &mut Reader<'_>, item: &Item<'_>) -> Option<E> {
        self.kind.read(reader, item).map(self.of)
    }

    fn show(&self, value: &E) -> Option<String> {
        self.kind.show((self.get)(value)?)
    }
}

/// Remembers where it is written.
pub(in crate::conf) struct Placed<K>(pub K);

impl<V, K: Kind<V>> Kind<At<V>> for Placed<K> {
    fn read(&self, reader: &mut Reader<'_>, item: &Item<'_>) -> Option<At<V>> {
        Some(At::new(self.0.read(reader, item)?, item.span.clone()))
    }

    fn show(&self, value: &At<V>) -> Option<String> {
        self.0.show(&value.value)
    }
}

/// There is a value only if the key is there.
pub(in crate::conf) struct Optional<K>(pub K);

impl<V, K: Kind<V>> Kind<Option<V>> for Optional<K> {
    fn read(&self, reader: &mut Reader<'_>, item: &Item<'_>) -> Option<Option<V>> {
        self.0.read(reader, item).map(Some)
    }

    fn show(&self, value: &Option<V>) -> Option<String> {
        self.0.show(value.as_ref()?)
    }
}

/// `false` says that there is none. The text says what it must be.
pub(in crate::conf) struct OrFalse<K>(pub K, pub &'static str);

impl<K: Sort> Sort for OrFalse<K> {
    fn wanted(&self) -> String {
        self.1.to_owned()
    }

    fn range(&self) -> Option<String> {
        self.0.range()
    }
}

impl<V, K: Kind<V>> Kind<Option<V>> for OrFalse<K> {
    fn read(&self, reader: &mut Reader<'_>, item: &Item<'_>) -> Option<Option<V>> {
        match item.value {
            DeValue::Boolean(false) => Some(None),
            value if value.as_bool().is_none() && self.0.fits(value) => {
                self.0.read(reader, item).map(Some)
            }
            _ => {
                reader.wrong_type(item, self.1);
                None
            }
        }
    }

    fn show(&self, value: &Option<V>) -> Option<String> {
        value.as_ref().map_or(Some("false".to_owned()), |value| self.0.show(value))
    }
}

/// Shown only where it is not the default of its type, such as an empty list.
pub(in crate::conf) struct Sparse<K>(pub K);

impl<V: Default + PartialEq, K: Kind<V>> Kind<V> for Sparse<K> {
    fn read(&self, reader: &mut Reader<'_>, item: &Item<'_>) -> Option<V> {
        self.0.read(reader, item)
    }

    fn show(&self, value: &V) -> Option<String> {
        if *value == V::default() { None } else { self.0.show(value) }
    }
}

impl<E, V, K: Sort> Sort for Variant<E, V, K> {
    same_sort!(kind);
}

impl<K: Sort> Sort for Placed<K> {
    same_sort!(0);
}

impl<K: Sort> Sort for Optional<K> {
    same_sort!(0);
}

impl<K: Sort> Sort for Sparse<K> {
    same_sort!(0);
}
