//! Values from a fixed set of words.

use super::decode::DecodeContext;
use super::diagnostics::did_you_mean;
use super::tree::Node;

/// Decodes one of `choices`, ignoring ASCII case. An unknown word is an error with a suggestion or
/// the list of all words.
pub fn decode_choice<T: Copy>(
    node: &Node,
    cx: &mut DecodeContext<'_>,
    choices: &[(&str, T)],
) -> Option<T> {
    let text = cx.text(node)?;
    if let Some((_, value)) = choices
        .iter()
        .find(|(word, _)| word.eq_ignore_ascii_case(&text))
    {
        return Some(*value);
    }
    let words: Vec<&str> = choices.iter().map(|(word, _)| *word).collect();
    let hint = did_you_mean(&text, words.iter().copied())
        .unwrap_or_else(|| format!("one of {}", words.join(", ")));
    cx.error(node.pos, format!("unknown value {text:?}"))
        .hint(hint);
    None
}

/// Declares an enum whose variants are words of the configuration. The first spelling of each is the
/// canonical one; the others are accepted as well.
#[macro_export]
macro_rules! string_enum {
    (
        $(#[$meta:meta])*
        pub enum $name:ident { $( $(#[doc = $vdoc:literal])* $variant:ident = $word:literal $(| $other:literal)* ),+ $(,)? }
    ) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum $name { $( $(#[doc = $vdoc])* $variant ),+ }

        impl $name {
            /// Each variant with its canonical word.
            #[allow(dead_code, reason = "not every enum is looked up by word")]
            pub const WORDS: &[(&str, Self)] = &[ $( ($word, Self::$variant) ),+ ];

            /// Returns the canonical word.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $( Self::$variant => $word ),+ }
            }
        }

        impl $crate::Decode for $name {
            fn decode(node: &$crate::Node, cx: &mut $crate::DecodeContext<'_>) -> Option<Self> {
                $crate::decode_choice(
                    node, cx, &[ $( ($word, Self::$variant), $( ($other, Self::$variant), )* )+ ])
            }
            fn shape() -> $crate::Shape {
                $crate::Shape::Choice(&[ $( $crate::Choice {
                    word: $word,
                    others: &[ $( $other ),* ],
                    doc: &[ $( $vdoc ),* ],
                } ),+ ])
            }
        }

        impl $crate::serde::Serialize for $name {
            fn serialize<S: $crate::serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.as_str())
            }
        }
    };
}
