//! The `section!` macro: one declaration yields the struct, its decoding and its reference.

use super::decode::MapReader;
use super::reference::SectionDoc;

/// A mapping with known keys.
pub trait Section: Sized {
    /// Reads the keys of this section and leaves the others to [`MapReader::finish`], which reports
    /// them as unknown. An absent key has its value in `defaults`, or else its own default.
    fn read(map: &mut MapReader<'_, '_, '_>, defaults: Option<Self>) -> Option<Self>;

    /// Returns the section with every key absent; `None` if a key is required.
    fn from_defaults() -> Option<Self>;

    /// Describes the section for the reference.
    fn doc() -> SectionDoc;
}

/// Declares a section of the configuration: the struct, its decoding and its reference.
///
/// A field is optional if it has `= default`, is an `Option`, or is a section whose fields are all
/// optional; any other field is required. If every field has a default, the struct implements
/// `Default`, too. The doc comments become the configuration reference.
///
/// A field with `#[former = "old_name"]` is also read under its name in earlier versions, with a
/// warning.
///
/// A field with `#[serde(flatten)]` is a section whose keys are among those of this one. Its
/// `= default` replaces the defaults of these keys.
///
/// `#[constraints = EXPRESSION]` before `pub struct` names the [`Constraint`](crate::Constraint)s
/// of the section, for the JSON Schema.
#[macro_export]
macro_rules! section {
    (
        $(#[doc = $doc:literal])*
        $(#[constraints = $constraints:expr])?
        pub struct $name:ident {
            $( $(#[doc = $fdoc:literal])* $(#[former = $former:literal])?
            pub $field:ident : $type:ty = $default:expr ),* $(,)?
        }
    ) => {
        $crate::section! { @body [$($doc)*] [$($constraints)?] $name {
            $( [$($fdoc)*] [$($former)?] $field : $type = (Some($default)) ),*
        } }

        impl Default for $name {
            fn default() -> Self {
                Self { $( $field: $default ),* }
            }
        }
    };
    (
        $(#[doc = $doc:literal])*
        $(#[constraints = $constraints:expr])?
        pub struct $name:ident {
            $( $(#[doc = $fdoc:literal])* $(#[serde($flatten:ident)])? $(#[former = $former:literal])?
            pub $field:ident : $type:ty $(= $default:expr)? ),* $(,)?
        }
    ) => {
        $crate::section! { @body [$($doc)*] [$($constraints)?] $name {
            $( [$($fdoc)*] [$($flatten)? $($former)?] $field : $type = ($crate::section!(@default $($default)?)) ),*
        } }
    };
    (@default $default:expr) => { Some($default) };
    (@default) => { None };
    (@former $former:literal) => { Some($former) };
    (@former) => { None };
    (@constraints [flatten] $type:ty) => { <$type as $crate::Section>::doc().constraints };
    (@constraints [$($former:literal)?] $type:ty) => { Vec::new() };
    (@read $map:ident [] $field:ident : $type:ty = $default:expr) => {
        $map.field::<$type>($crate::key(stringify!($field)), $default)
    };
    (@read $map:ident [$former:literal] $field:ident : $type:ty = $default:expr) => {
        $map.renamed_field::<$type>($crate::key(stringify!($field)), $former, $default)
    };
    (@read $map:ident [flatten] $field:ident : $type:ty = $default:expr) => {
        <$type as $crate::Section>::read($map, $default)
    };
    (@doc [$($fdoc:literal)*] [$($former:literal)?] $field:ident : $type:ty = $default:expr) => {
        vec![$crate::FieldDoc {
            key: $crate::key(stringify!($field)),
            former: $crate::section!(@former $($former)?),
            doc: $crate::join_doc(&[$($fdoc),*]),
            shape: <$type as $crate::Decode>::shape(),
            default: {
                let default: Option<$type> = $default;
                default
                    .or_else(<$type as $crate::Decode>::absent)
                    .and_then(|value| $crate::json(&value))
            },
        }]
    };
    (@doc [$($fdoc:literal)*] [flatten] $field:ident : $type:ty = $default:expr) => {
        $crate::flattened::<$type>($default)
    };
    (@body [$($doc:literal)*] [$($constraints:expr)?] $name:ident {
        $( [$($fdoc:literal)*] [$($flatten:ident)? $($former:literal)?] $field:ident : $type:ty = ($default:expr) ),*
    }) => {
        $(#[doc = $doc])*
        #[derive(Clone, Debug, PartialEq, serde::Serialize)]
        pub struct $name {
            $( $(#[doc = $fdoc])* $(#[serde($flatten)])? pub $field: $type ),*
        }

        impl $crate::Section for $name {
            fn read(
                map: &mut $crate::MapReader<'_, '_, '_>,
                defaults: Option<Self>,
            ) -> Option<Self> {
                $( let mut $field: Option<$type> = $default; )*
                if let Some(defaults) = defaults {
                    $( $field = Some(defaults.$field); )*
                }
                // All fields are read before a missing one returns, so that every error is reported.
                $( let $field: Option<$type> =
                    $crate::section!(@read map [$($flatten)? $($former)?] $field : $type = $field); )*
                Some(Self { $( $field: $field? ),* })
            }

            fn from_defaults() -> Option<Self> {
                Some(Self { $( $field: {
                    let default: Option<$type> = $default;
                    default.or_else(<$type as $crate::Decode>::absent)?
                } ),* })
            }

            fn doc() -> $crate::SectionDoc {
                $crate::SectionDoc {
                    name: stringify!($name),
                    doc: $crate::join_doc(&[$($doc),*]),
                    fields: $crate::join_fields(vec![ $(
                        $crate::section!(@doc [$($fdoc)*] [$($flatten)? $($former)?] $field : $type = $default)
                    ),* ]),
                    variants: Vec::new(),
                    constraints: $crate::join_constraints(vec![
                        $( $constraints.to_vec(), )?
                        $( $crate::section!(@constraints [$($flatten)? $($former)?] $type) ),*
                    ]),
                }
            }
        }

        impl $crate::Decode for $name {
            fn decode(node: &$crate::Node, cx: &mut $crate::DecodeContext<'_>) -> Option<Self> {
                let mut map = $crate::MapReader::open(node, cx)?;
                let section = <Self as $crate::Section>::read(&mut map, None);
                map.finish();
                section
            }
            fn shape() -> $crate::Shape {
                $crate::Shape::Section(<Self as $crate::Section>::doc)
            }
            fn absent() -> Option<Self> {
                <Self as $crate::Section>::from_defaults()
            }
        }
    };
}

/// Converts the name of a field to its key: `r#type` is `type`.
#[must_use]
pub fn key(field: &'static str) -> &'static str {
    field.strip_prefix("r#").unwrap_or(field)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::LazyLock;

    use crate::{
        Decode, DecodeContext, Diagnostics, HumanDuration, Literal, Secret, Section, Spanned,
    };

    crate::string_enum! {
        /// Colours.
        pub enum Colour { /// red
            Red = "red" | "rouge", /// green
            Green = "green" }
    }

    section! {
        /// All have defaults.
        pub struct Pool {
            /// Number of connections.
            #[former = "connections"]
            pub size: u32 = 10,
            /// Longest wait.
            pub wait: HumanDuration = HumanDuration::secs(5),
        }
    }

    section! {
        /// The outer one.
        pub struct Outer {
            /// The type.
            pub r#type: Colour,
            /// Its name,
            /// over two lines.
            pub name: Spanned<String>,
            /// Never expanded.
            pub query: Literal = Literal::default(),
            /// Optional.
            pub password: Option<Secret>,
            /// Nested.
            pub pool: Pool,
            /// More.
            pub items: Vec<Pool> = Vec::new(),
            /// Free names.
            pub map: BTreeMap<String, f64> = BTreeMap::new(),
        }
    }

    section! {
        /// A pool and its name.
        pub struct Named {
            /// Its name.
            pub name: String,
            /// Its other keys.
            #[serde(flatten)]
            pub pool: Pool,
            /// Last key.
            pub last: u32 = 1,
        }
    }

    fn decode<T: Decode>(text: &str) -> Result<T, Vec<String>> {
        let mut diagnostics = Diagnostics::default();
        let node = crate::parse(text).unwrap();
        let decoded = T::decode(
            &node,
            &mut DecodeContext::new(&mut diagnostics, &|name| (name == "N").then(|| "7".into())),
        );
        match decoded {
            Some(value) if diagnostics.is_empty() => Ok(value),
            _ => Err(diagnostics
                .into_sorted()
                .iter()
                .map(ToString::to_string)
                .collect()),
        }
    }

    #[test]
    fn defaults_nesting_and_expansion() {
        let outer: Outer = decode(
            "type: rouge\nname: \"${N}${N}\"\nquery: \"${N} $p\"\npool: {size: \"${N}\"}\nitems: [{wait: 1m}]\n",
        )
        .unwrap();
        assert_eq!(outer.r#type, Colour::Red);
        assert_eq!(*outer.name, "77");
        assert_eq!(outer.name.at.pos.line, 2);
        assert_eq!(&*outer.query, "${N} $p");
        assert_eq!(
            outer.pool,
            Pool {
                size: 7,
                wait: HumanDuration::secs(5)
            }
        );
        assert_eq!(
            outer.items,
            [Pool {
                size: 10,
                wait: HumanDuration::minutes(1)
            }]
        );
        assert_eq!(outer.password, None);
    }

    #[test]
    fn every_diagnostic_has_its_location() {
        let diagnostics = decode::<Outer>(
            "type: rd\npool: {sise: 3, wait: soon}\nitems:\n  - 5\n  - size: x\nmap: {a: b}\n",
        )
        .unwrap_err();
        assert_eq!(
            diagnostics,
            [
                "1:1: missing key \"name\"",
                "1:7: type: unknown value \"rd\"\n  hint: did you mean \"red\"?",
                "2:8: pool.sise: unknown key \"sise\"\n  hint: did you mean \"size\"?",
                "2:23: pool.wait: expected a duration such as 30, 30s, 5m, 1h30m or 7d, found \"soon\"",
                "4:5: items[0]: expected a mapping, found a single value",
                "5:11: items[1].size: expected a whole number from 0 to 4294967295, found \"x\"",
                "6:10: map.a: expected a number, found \"b\"",
            ]
        );
    }

    #[test]
    fn a_misplaced_key_has_the_section_that_it_belongs_to() {
        fn places(key: &str) -> &'static [String] {
            static SECTIONS: LazyLock<BTreeMap<&str, Vec<String>>> =
                LazyLock::new(|| Outer::doc().sections_by_key());
            SECTIONS.get(key).map(Vec::as_slice).unwrap_or_default()
        }
        let text =
            "type: red\nsize: 3\npool: {items: [], banana: 1}\nitems: [{map: {}}]\nname: a\n";
        let mut diagnostics = Diagnostics::default();
        let node = crate::parse(text).unwrap();
        let cx = DecodeContext::new(&mut diagnostics, &|_| None);
        Outer::decode(&node, &mut cx.with_places(places));
        let diagnostics = diagnostics.into_sorted();
        assert_eq!(
            diagnostics
                .iter()
                .map(ToString::to_string)
                .collect::<Vec<_>>(),
            [
                "2:1: size: unknown key \"size\"\n  hint: write it below `pool`",
                "3:8: pool.items: unknown key \"items\"\n  hint: write it at the top level of the file",
                "3:19: pool.banana: unknown key \"banana\"\n  hint: known keys: size, wait",
                // An entry of a list has keys of its own.
                "4:10: items[0].map: unknown key \"map\"\n  hint: known keys: size, wait",
            ]
        );
    }

    #[test]
    fn a_key_of_an_earlier_version_is_read_with_a_warning() {
        let decode = |text: &str| {
            let mut diagnostics = Diagnostics::default();
            let node = crate::parse(text).unwrap();
            let pool = Pool::decode(&node, &mut DecodeContext::new(&mut diagnostics, &|_| None));
            let warnings: Vec<_> = diagnostics
                .take_warnings()
                .iter()
                .map(ToString::to_string)
                .collect();
            let errors: Vec<_> = diagnostics
                .into_sorted()
                .iter()
                .map(ToString::to_string)
                .collect();
            (pool.map(|pool| pool.size), warnings, errors)
        };
        let (size, warnings, errors) = decode("wait: 1m\nconnections: 7\n");
        assert_eq!((size, errors), (Some(7), vec![]));
        assert_eq!(
            warnings,
            ["2:1: key \"connections\" is now \"size\"\n  \
              hint: use the new name"]
        );
        assert_eq!(decode("size: 3\n"), (Some(3), vec![], vec![]));
        let (size, warnings, errors) = decode("size: 3\nconnections: 7\n");
        assert_eq!((size, warnings), (Some(3), vec![]));
        assert_eq!(
            errors,
            [
                "2:1: key \"connections\" is now \"size\", which is set on line 1 too\n  \
              hint: keep the new name"
            ]
        );
    }

    #[test]
    fn a_flattened_section_has_its_keys_among_those_of_the_outer_one() {
        let named: Named = decode("{name: a, size: 7}").unwrap();
        assert_eq!((named.pool.size, named.last), (7, 1));
        assert_eq!(
            crate::json(&named).unwrap(),
            r#"{"name":"a","size":7,"wait":"5s","last":1}"#
        );
        let diagnostics = decode::<Named>("{name: a, size: x, pool: {}}").unwrap_err();
        assert_eq!(
            diagnostics,
            [
                "1:17: size: expected a whole number from 0 to 4294967295, found \"x\"",
                "1:20: pool: unknown key \"pool\"\n  hint: known keys: name, size, wait, last",
            ]
        );
        let keys: Vec<_> = Named::doc().fields.iter().map(|field| field.key).collect();
        assert_eq!(keys, ["name", "size", "wait", "last"]);
    }

    section! {
        /// A pool with other defaults.
        pub struct Small {
            #[serde(flatten)]
            pub named: Named = Named { name: "small".into(), pool: Pool { size: 3, ..Pool::default() }, last: 2 },
            /// Key that is required.
            pub first: u32,
        }
    }

    #[test]
    fn a_default_of_a_flattened_section_replaces_those_of_its_keys() {
        let small: Small = decode("{wait: 1m, first: 9}").unwrap();
        assert_eq!(
            crate::json(&small).unwrap(),
            r#"{"name":"small","size":3,"wait":"1m","last":2,"first":9}"#
        );
        let fields: Vec<_> = Small::doc()
            .fields
            .iter()
            .map(|field| format!("{}|{}|{:?}", field.key, field.doc, field.default))
            .collect();
        assert_eq!(
            fields,
            [
                r#"name|Its name.|Some("\"small\"")"#,
                r#"size|Number of connections.|Some("3")"#,
                r#"wait|Longest wait.|Some("\"5s\"")"#,
                r#"last|Last key.|Some("2")"#,
                r#"first|Key that is required.|None"#,
            ]
        );
        assert_eq!(Named::doc().fields[0].default, None);
    }

    #[test]
    fn the_reference_comes_from_the_declaration() {
        let sections = crate::sections_below(Outer::doc());
        assert_eq!(
            sections.iter().map(|s| s.name).collect::<Vec<_>>(),
            ["Outer", "Pool"]
        );
        let fields: Vec<_> = sections[0]
            .fields
            .iter()
            .map(|f| format!("{}|{}|{}|{:?}", f.key, f.doc, f.shape.describe(), f.default))
            .collect();
        assert_eq!(fields[0], "type|The type.|`red`, `green`|None");
        assert_eq!(fields[1], "name|Its name, over two lines.|text|None");
        assert_eq!(fields[3], "password|Optional.|secret text|Some(\"null\")");
        assert_eq!(
            fields[4],
            "pool|Nested.|Pool|Some(\"{\\\"size\\\":10,\\\"wait\\\":\\\"5s\\\"}\")"
        );
    }
}
