//! OpenAPI schemas of the types that are written as one string or number.

use serde_json::Value;
use utoipa::openapi::extensions::ExtensionsBuilder;
use utoipa::openapi::schema::{ObjectBuilder, SchemaFormat, SchemaType, Type};
use utoipa::openapi::{Object, RefOr, Schema};

/// The trait that utoipa's derive implements, and requires of the arguments of generic types.
pub(crate) use utoipa::__dev::ComposeSchema;

/// Declares the schema of a type that is written as a string.
///
/// `string_schema! { Team: "The name of a team.", pattern: "^[a-z]+$", example: "sales" }`
macro_rules! string_schema {
    ($type:ident: $description:expr $(, pattern: $pattern:expr)? $(, max_length: $max:expr)? $(, format: $format:literal)?, example: $example:expr) => {
        impl $crate::domain::schema::ComposeSchema for $type {
            fn compose(
                _: Vec<::utoipa::openapi::RefOr<::utoipa::openapi::Schema>>,
            ) -> ::utoipa::openapi::RefOr<::utoipa::openapi::Schema> {
                $crate::domain::schema::string()
                    .description(Some($description))
                    $(.pattern(Some($pattern)))?
                    $(.max_length(Some($max)))?
                    $(.format(Some($crate::domain::schema::format($format))))?
                    .examples([$example])
                    .into()
            }
        }
        impl ::utoipa::ToSchema for $type {}
    };
}
pub(crate) use string_schema;

/// Returns the schema of a string, to be completed.
pub(crate) fn string() -> ObjectBuilder {
    ObjectBuilder::new().schema_type(SchemaType::new(Type::String))
}

/// Returns a format of JSON Schema.
pub(crate) fn format(name: &str) -> SchemaFormat {
    SchemaFormat::Custom(name.to_owned())
}

/// Returns the schema of an enum whose values are all known: `values` are the strings, each with its description.
pub(crate) fn closed_enum(description: &[&str], values: &[(&str, &str)]) -> RefOr<Schema> {
    enumeration(description, values)
        .enum_values(Some(values.iter().map(|(value, _)| *value)))
        .into()
}

/// Returns the schema of a string with known values, to which later versions may add.
pub(crate) fn open_enum(description: &[&str], values: &[(&str, &str)]) -> RefOr<Schema> {
    let known: Value = values.iter().map(|(value, _)| *value).collect();
    let mut schema: Object = enumeration(description, values).build();
    let text = schema.description.get_or_insert_default();
    text.push_str("\n\nLater versions may add values.");
    schema.extensions = Some(ExtensionsBuilder::new().add("x-extensible-enum", known).build());
    schema.into()
}

fn enumeration(description: &[&str], values: &[(&str, &str)]) -> ObjectBuilder {
    let lines: Vec<_> = description.iter().map(|line| line.trim()).collect();
    let values: Vec<_> = values
        .iter()
        .map(|(value, meaning)| format!("* `{value}`: {}", meaning.trim()))
        .collect();
    string().description(Some(format!("{}\n\n{}", lines.join(" "), values.join("\n"))))
}
