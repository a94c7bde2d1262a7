//! Values with a unit: durations, sizes, fractions. Literals are read at compile time, anything else is an expression.

use std::time::Duration;

use humantime::DurationError;
use proc_macro2::{Literal, Span, TokenStream};
use quote::{ToTokens, quote};
use syn::parse::ParseStream;
use syn::spanned::Spanned as _;
use syn::{Expr, Lit, LitStr};

/// A value that is known now, or by an expression at run time.
#[derive(Clone)]
pub(crate) enum Value<T> {
    Known(T, Span),
    Computed(Expr),
}

impl<T: Copy> Value<T> {
    pub(crate) fn known(&self) -> Option<T> {
        match self {
            Self::Known(value, _) => Some(*value),
            Self::Computed(_) => None,
        }
    }

    pub(crate) fn computed(&self) -> Option<&Expr> {
        match self {
            Self::Known(..) => None,
            Self::Computed(expr) => Some(expr),
        }
    }

    pub(crate) fn span(&self) -> Span {
        match self {
            Self::Known(_, span) => *span,
            Self::Computed(expr) => expr.span(),
        }
    }
}

/// `"forever"` as a ttl.
pub(crate) const FOREVER: Duration = Duration::MAX;

pub(crate) fn duration(input: ParseStream<'_>) -> syn::Result<Value<Duration>> {
    match literal(input, "a duration, which is written as in \"90s\", \"1m30s\" or \"250ms\"")? {
        Written::Text(text) => match humantime::parse_duration(&text.value()) {
            Ok(value) => Ok(Value::Known(value, text.span())),
            Err(why) => Err(syn::Error::new(text.span(), no_duration(&text.value(), &why))),
        },
        Written::Number(number, span) if number.starts_with('-') => {
            Err(syn::Error::new(span, format!("`{number}` is negative: write a length of time, as in \"90s\"")))
        }
        Written::Number(number, span) => Err(syn::Error::new(
            span,
            format!("`{number}` has no unit: write \"{number}s\", or an expression of type `Duration`"),
        )),
        Written::Other(expr) => Ok(Value::Computed(expr)),
    }
}

/// What is wrong with the text of a duration.
fn no_duration(text: &str, why: &DurationError) -> String {
    let text = text.trim();
    match why {
        DurationError::Empty => {
            "this is empty: write a length of time, as in \"90s\", \"1m30s\" or \"250ms\"".to_owned()
        }
        _ if text.bytes().all(|byte| byte.is_ascii_digit()) => {
            format!("`{text}` has no unit: write \"{text}s\", or an expression of type `Duration`")
        }
        DurationError::UnknownUnit { unit, .. } => {
            format!(
                "`{unit}` is not a unit of time: there are `ms`, `s`, `m`, `h`, `days` and `weeks`, as in \"1h30m\""
            )
        }
        DurationError::NumberOverflow => {
            format!("`{text}` is more than a `Duration` can hold: write a shorter one, or remove the option")
        }
        _ if text.starts_with('-') => format!("`{text}` is negative: write a length of time, as in \"90s\""),
        why => format!(
            "`{text}` is not a duration ({why}): write numbers with units, as in \"90s\", \"1m30s\" or \"250ms\""
        ),
    }
}

pub(crate) fn ttl(input: ParseStream<'_>) -> syn::Result<Value<Duration>> {
    let fork = input.fork();
    match fork.parse::<LitStr>() {
        Ok(text) if text.value() == "forever" => {
            input.parse::<LitStr>()?;
            Ok(Value::Known(FOREVER, text.span()))
        }
        _ => duration(input),
    }
}

/// A number of bytes or of weight units: `10_000`, `"64MiB"`, `"64MB"`.
pub(crate) fn size(input: ParseStream<'_>) -> syn::Result<Value<u64>> {
    match literal(input, "a size, which is written as in \"64MiB\"")? {
        Written::Text(text) => match bytes(&text.value()) {
            Some(value) => Ok(Value::Known(value, text.span())),
            None => Err(syn::Error::new(
                text.span(),
                format!(
                    "`{}` is not a size: write a number with a unit, as in \"64MiB\", \"64MB\" or \"512KiB\"",
                    text.value()
                ),
            )),
        },
        Written::Number(number, span) => whole(&number, span).map(|value| Value::Known(value, span)),
        Written::Other(expr) => Ok(Value::Computed(expr)),
    }
}

/// A whole number of entries.
pub(crate) fn count(input: ParseStream<'_>) -> syn::Result<Value<u64>> {
    match literal(input, "a number of entries, which is written as in `10_000`")? {
        Written::Text(text) => Err(syn::Error::new(
            text.span(),
            "this is a number of entries, as in `10_000`; for a bound in bytes use `max_weight` and `weigh`",
        )),
        Written::Number(number, span) => whole(&number, span).map(|value| Value::Known(value, span)),
        Written::Other(expr) => Ok(Value::Computed(expr)),
    }
}

pub(crate) fn version(input: ParseStream<'_>) -> syn::Result<Value<u32>> {
    match literal(input, "a version, which is written as in `version = 2`")? {
        Written::Text(text) => Err(syn::Error::new(text.span(), "a version is a number, as in `version = 2`")),
        Written::Number(number, span) => match number.parse() {
            Ok(value) => Ok(Value::Known(value, span)),
            Err(_) => Err(syn::Error::new(
                span,
                format!("`{number}` is not a version: write a whole number below 2^32, as in `version = 2`"),
            )),
        },
        Written::Other(expr) => Ok(Value::Computed(expr)),
    }
}

/// A part of a whole: `0.1` or `"10%"`.
pub(crate) fn fraction(input: ParseStream<'_>) -> syn::Result<Value<f64>> {
    let (written, value, span) = match literal(input, "a fraction, which is written as in \"10%\" or `0.1`")? {
        Written::Text(text) => {
            let percent = text.value().trim().strip_suffix('%').and_then(|number| number.trim().parse::<f64>().ok());
            (text.value(), percent.map(|percent| percent / 100.0), text.span())
        }
        Written::Number(number, span) => {
            let value = number.parse().ok();
            (number, value, span)
        }
        Written::Other(expr) => return Ok(Value::Computed(expr)),
    };
    match value.filter(|value| value.is_finite()) {
        Some(value) => Ok(Value::Known(value, span)),
        None => Err(syn::Error::new(span, format!("`{written}` is not a fraction: write \"10%\" or `0.1`"))),
    }
}

enum Written {
    Text(LitStr),
    /// Digits without underscores and suffix.
    Number(String, Span),
    Other(Expr),
}

fn literal(input: ParseStream<'_>, wanted: &str) -> syn::Result<Written> {
    let mut expr: Expr = input.parse()?;
    // A literal that came through `macro_rules!` is wrapped in an invisible group.
    while let Expr::Group(group) = expr {
        expr = *group.expr;
    }
    Ok(match expr {
        Expr::Lit(lit) => match lit.lit {
            Lit::Str(text) => Written::Text(text),
            Lit::Int(number) => Written::Number(number.base10_digits().to_owned(), number.span()),
            Lit::Float(number) => Written::Number(number.base10_digits().to_owned(), number.span()),
            other => {
                let message = format!("`{}` is not {wanted}", other.to_token_stream());
                return Err(syn::Error::new(other.span(), message));
            }
        },
        Expr::Unary(unary) if matches!(unary.op, syn::UnOp::Neg(_)) => match &*unary.expr {
            Expr::Lit(_) => Written::Number(unary.to_token_stream().to_string().replace([' ', '_'], ""), unary.span()),
            _ => Written::Other(Expr::Unary(unary)),
        },
        other => Written::Other(other),
    })
}

fn whole(number: &str, span: Span) -> syn::Result<u64> {
    number.parse().map_err(|_| {
        syn::Error::new(span, format!("`{number}` is not a whole number below 2^64: write one, as in `10_000`"))
    })
}

fn bytes(text: &str) -> Option<u64> {
    let text = text.trim();
    let digits = text.find(|c: char| !c.is_ascii_digit() && c != '_').unwrap_or(text.len());
    let number: u64 = text[..digits].replace('_', "").parse().ok()?;
    let unit = match text[digits..].trim() {
        "" | "B" => 1,
        "kB" | "KB" => 1_000,
        "MB" => 1_000_000,
        "GB" => 1_000_000_000,
        "TB" => 1_000_000_000_000,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        "TiB" => 1 << 40,
        _ => return None,
    };
    number.checked_mul(unit)
}

impl ToTokens for Value<Duration> {
    fn to_tokens(&self, tokens: &mut TokenStream) {
        tokens.extend(match self {
            Self::Computed(expr) => expr.to_token_stream(),
            Self::Known(value, _) => {
                let (seconds, nanos) = (unsuffixed(value.as_secs(), self.span()), value.subsec_nanos());
                let millis = u64::try_from(value.as_millis()).ok().filter(|_| nanos % 1_000_000 == 0);
                match (nanos, millis) {
                    (0, _) => quote!(::core::time::Duration::from_secs(#seconds)),
                    (_, Some(millis)) => {
                        let millis = unsuffixed(millis, self.span());
                        quote!(::core::time::Duration::from_millis(#millis))
                    }
                    (nanos, None) => {
                        let nanos = unsuffixed(u64::from(nanos), self.span());
                        quote!(::core::time::Duration::new(#seconds, #nanos))
                    }
                }
            }
        });
    }
}

impl ToTokens for Value<u64> {
    fn to_tokens(&self, tokens: &mut TokenStream) {
        match self {
            Self::Known(value, span) => unsuffixed(*value, *span).to_tokens(tokens),
            Self::Computed(expr) => expr.to_tokens(tokens),
        }
    }
}

impl ToTokens for Value<u32> {
    fn to_tokens(&self, tokens: &mut TokenStream) {
        match self {
            Self::Known(value, span) => unsuffixed(u64::from(*value), *span).to_tokens(tokens),
            Self::Computed(expr) => expr.to_tokens(tokens),
        }
    }
}

impl ToTokens for Value<f64> {
    fn to_tokens(&self, tokens: &mut TokenStream) {
        match self {
            Self::Known(value, span) => {
                let mut literal = Literal::f64_unsuffixed(*value);
                literal.set_span(*span);
                literal.to_tokens(tokens);
            }
            Self::Computed(expr) => expr.to_tokens(tokens),
        }
    }
}

fn unsuffixed(value: u64, span: Span) -> Literal {
    let mut literal = Literal::u64_unsuffixed(value);
    literal.set_span(span);
    literal
}

#[cfg(test)]
mod tests {
    use syn::parse::Parser as _;

    use super::*;

    fn tokens<T>(parser: fn(ParseStream<'_>) -> syn::Result<Value<T>>, input: TokenStream) -> String
    where
        Value<T>: ToTokens,
    {
        match parser.parse2(input) {
            Ok(value) => value.to_token_stream().to_string().replace(' ', ""),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn durations_are_read_at_compile_time() {
        assert_eq!(tokens(duration, quote!("1m30s")), "::core::time::Duration::from_secs(90)");
        assert_eq!(tokens(duration, quote!("1500ms")), "::core::time::Duration::from_millis(1500)");
        assert_eq!(tokens(duration, quote!("1us")), "::core::time::Duration::new(0,1000)");
        assert_eq!(tokens(duration, quote!(LIFE * 2)), "LIFE*2");
        assert!(tokens(duration, quote!("1x")).contains("not a unit of time"));
        assert!(tokens(duration, quote!(60)).contains("write \"60s\""));
        assert_eq!(ttl.parse2(quote!("forever")).unwrap().known(), Some(FOREVER));
    }

    #[test]
    fn sizes_know_both_kinds_of_units() {
        assert_eq!(tokens(size, quote!("64MiB")), (64 << 20).to_string());
        assert_eq!(tokens(size, quote!("64 MB")), 64_000_000.to_string());
        assert_eq!(tokens(size, quote!(10_000)), "10000");
        assert_eq!(tokens(size, quote!(LIMIT)), "LIMIT");
        assert!(tokens(size, quote!("64 pounds")).contains("is not a size"));
        assert!(tokens(count, quote!("64MiB")).contains("use `max_weight` and `weigh`"));
    }

    #[test]
    fn fractions_are_numbers_or_percents() {
        assert_eq!(tokens(fraction, quote!("10%")), "0.1");
        assert_eq!(tokens(fraction, quote!(0.8)), "0.8");
        assert_eq!(fraction.parse2(quote!(-0.5)).unwrap().known(), Some(-0.5));
        for none in [quote!("ten"), quote!("nan%"), quote!("inf%"), quote!(1e999)] {
            assert!(tokens(fraction, none).contains("is not a fraction"));
        }
        assert!(tokens(version, quote!(1.5)).contains("is not a version"));
    }
}
