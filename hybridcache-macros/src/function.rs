//! The annotated function, as it was written.

use proc_macro2::{Delimiter, Group, Ident, Span, TokenTree};
use quote::{ToTokens, format_ident};
use syn::parse::{Parse, ParseStream};
use syn::visit::Visit;
use syn::{
    Attribute, FnArg, GenericArgument, Pat, PathArguments, Receiver, ReceiverKind, ReturnType, Signature, Token, Type,
    TypeParamBound, Visibility,
};

use crate::mention::has_word;
use crate::model::shape::{peeled, spelled};

/// A function with its body left unparsed: whatever is wrong inside is for rustc to say, and what the user types keeps its spans.
pub(crate) struct Function {
    pub(crate) attrs: Vec<Attribute>,
    pub(crate) vis: Visibility,
    pub(crate) sig: Signature,
    pub(crate) arguments: Vec<Argument>,
    /// The block, with its braces.
    pub(crate) body: Group,
}

/// One argument that is not the receiver.
pub(crate) struct Argument {
    /// What generated code calls it: the user's name, or `arg0` for a pattern.
    pub(crate) name: Ident,
    /// What the user may call it in options: its name, or the names that its pattern binds.
    pub(crate) names: Vec<Ident>,
    pub(crate) pat: Pat,
    pub(crate) ty: Type,
    pub(crate) attrs: Vec<Attribute>,
}

/// How a function runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flow {
    Blocking,
    Async,
    /// Not `async` itself, but returns `Pin<Box<dyn Future<Output = …>>>`, as what `#[async_trait]` makes of an `async fn`.
    Boxed,
    /// The same without the box: `impl Future<Output = …>`.
    Unboxed,
}

impl Flow {
    pub(crate) fn waits(self) -> bool {
        self != Self::Blocking
    }
}

impl Parse for Function {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let attrs = input.call(Attribute::parse_outer)?;
        let vis = input.parse()?;
        let start = input.span();
        if !starts_a_function(input) {
            return Err(syn::Error::new(start, "this attribute goes on a function or a method"));
        }
        let sig: Signature = input.parse()?;
        if input.peek(Token![;]) {
            let message = "there is no body here whose result could be kept: put the attribute on the method of each `impl` instead";
            return Err(syn::Error::new(sig.ident.span(), message));
        }
        let body = block(input.parse()?)?;
        let arguments = arguments(&sig);
        Ok(Self { attrs, vis, sig, arguments, body })
    }
}

/// The body. One that came through `macro_rules!` is wrapped in an invisible group.
fn block(token: TokenTree) -> syn::Result<Group> {
    match token {
        TokenTree::Group(group) if group.delimiter() == Delimiter::Brace => Ok(group),
        TokenTree::Group(group) if group.delimiter() == Delimiter::None => syn::parse2(group.stream()).and_then(block),
        other => Err(syn::Error::new(other.span(), "expected the body of the function")),
    }
}

fn starts_a_function(input: ParseStream<'_>) -> bool {
    let fork = input.fork();
    // `const`, `async`, `unsafe` and `extern "C"` may stand before `fn`; a `const` item has a name there.
    for _ in 0..6 {
        if fork.peek(Token![fn]) {
            return true;
        }
        let known = fork.peek(Token![const])
            || fork.peek(Token![async])
            || fork.peek(Token![unsafe])
            || fork.peek(Token![extern])
            || fork.peek(syn::LitStr);
        if !known || fork.parse::<TokenTree>().is_err() {
            return false;
        }
    }
    false
}

impl Function {
    pub(crate) fn receiver(&self) -> Option<&Receiver> {
        match self.sig.inputs.first()? {
            FnArg::Receiver(receiver) => Some(receiver),
            FnArg::Typed(_) => None,
        }
    }

    /// Whether the signature can stand in an `impl` or a `trait` only.
    pub(crate) fn is_method(&self) -> bool {
        self.receiver().is_some() || has_word(&self.sig.to_token_stream(), "Self")
    }

    pub(crate) fn has_visibility(&self) -> bool {
        !matches!(self.vis, Visibility::Inherited)
    }

    pub(crate) fn flow(&self) -> Flow {
        match future(&self.sig.output) {
            _ if self.sig.asyncness.is_some() => Flow::Async,
            Some((flow, _)) => flow,
            None => Flow::Blocking,
        }
    }

    /// The type that a call ends up with, after `.await` if there is one.
    pub(crate) fn output(&self) -> Type {
        match (&self.sig.output, future(&self.sig.output)) {
            (ReturnType::Default, _) => syn::parse_quote!(()),
            (_, Some((_, output))) if self.sig.asyncness.is_none() => output.clone(),
            (ReturnType::Type(_, ty), _) => (**ty).clone(),
        }
    }

    /// The names of what one alone can have at a time, the receiver's too: all that is given but shared references.
    pub(crate) fn exclusive(&self) -> impl Iterator<Item = Ident> {
        let receiver = self.receiver().filter(|receiver| match &receiver.kind {
            ReceiverKind::Reference(_, _, mutability) => mutability.is_some(),
            ReceiverKind::Typed(_, ty) => !is_shared(ty),
            _ => true,
        });
        let receiver = receiver.map(|receiver| Ident::new("self", receiver.self_token.span));
        let arguments = self.arguments.iter().filter(|argument| !(argument.is_named() && is_shared(&argument.ty)));
        receiver.into_iter().chain(arguments.flat_map(|argument| argument.names.iter().cloned()))
    }

    /// The argument that a user means by a name, be it bound inside a pattern.
    pub(crate) fn argument(&self, name: &Ident) -> Option<usize> {
        self.arguments.iter().position(|argument| argument.names.contains(name))
    }

    pub(crate) fn argument_names(&self) -> Vec<String> {
        self.arguments.iter().flat_map(|argument| &argument.names).map(Ident::to_string).collect()
    }
}

impl Argument {
    /// Whether the argument is just a name, so that generated code may use it as it is.
    pub(crate) fn is_plain(&self) -> bool {
        matches!(&self.pat, Pat::Ident(pat) if pat.by_ref.is_none() && pat.mutability.is_none() && pat.subpat.is_none())
    }

    /// A binding like `mut id`, whose name is fine and whose `mut` belongs to the body.
    pub(crate) fn is_named(&self) -> bool {
        matches!(&self.pat, Pat::Ident(pat) if pat.by_ref.is_none() && pat.subpat.is_none())
    }
}

fn is_shared(ty: &Type) -> bool {
    matches!(peeled(ty), Type::Reference(reference) if reference.mutability.is_none())
}

fn arguments(sig: &Signature) -> Vec<Argument> {
    let typed = sig.inputs.iter().filter_map(|input| match input {
        FnArg::Typed(typed) => Some(typed),
        FnArg::Receiver(_) => None,
    });
    let mut arguments: Vec<Argument> = Vec::new();
    for (i, typed) in typed.enumerate() {
        let names = Bound::by(&typed.pat);
        let mut argument = Argument {
            // Mixed-site hygiene: the body cannot see a name that it did not choose.
            name: Ident::new(&format!("arg{i}"), Span::mixed_site()),
            names,
            pat: (*typed.pat).clone(),
            ty: (*typed.ty).clone(),
            attrs: typed.attrs.clone(),
        };
        if argument.is_named() {
            argument.name = argument.names[0].clone();
        }
        arguments.push(argument);
    }
    let taken: Vec<Ident> = arguments.iter().flat_map(|argument| argument.names.clone()).collect();
    for argument in &mut arguments {
        if !argument.is_named() && taken.contains(&argument.name) {
            argument.name = format_ident!("__hc_{}", argument.name);
        }
    }
    arguments
}

/// The names that a pattern binds.
struct Bound(Vec<Ident>);

impl Bound {
    fn by(pat: &Pat) -> Vec<Ident> {
        let mut bound = Self(Vec::new());
        bound.visit_pat(pat);
        bound.0
    }
}

impl<'ast> Visit<'ast> for Bound {
    fn visit_pat_ident(&mut self, pat: &'ast syn::PatIdent) {
        self.0.push(pat.ident.clone());
        syn::visit::visit_pat_ident(self, pat);
    }
}

/// `R` of `Pin<Box<dyn Future<Output = R> + …>>` or `impl Future<Output = R> + …`, and which of them it is.
fn future(output: &ReturnType) -> Option<(Flow, &Type)> {
    let ReturnType::Type(_, ty) = output else {
        return None;
    };
    let (flow, bounds) = match peeled(ty) {
        Type::ImplTrait(future) => (Flow::Unboxed, &future.bounds),
        pin => match spelled(spelled(pin, "Pin")?, "Box")? {
            Type::TraitObject(future) => (Flow::Boxed, &future.bounds),
            _ => return None,
        },
    };
    let output = bounds.iter().find_map(|bound| {
        let TypeParamBound::Trait(bound) = bound else {
            return None;
        };
        let future = bound.path.segments.last().filter(|segment| segment.ident == "Future")?;
        let PathArguments::AngleBracketed(arguments) = &future.arguments else {
            return None;
        };
        arguments.args.iter().find_map(|argument| match argument {
            GenericArgument::AssocType(output) if output.ident == "Output" => Some(&output.ty),
            _ => None,
        })
    })?;
    Some((flow, output))
}

#[cfg(test)]
mod tests {
    use proc_macro2::TokenStream;
    use quote::quote;

    use super::*;

    fn parse(tokens: TokenStream) -> Function {
        syn::parse2(tokens).unwrap()
    }

    #[test]
    fn patterns_get_names_and_keep_the_ones_they_bind() {
        let function = parse(quote! { fn f(State(db): State<Db>, mut id: u64, _: bool) {} });
        let names: Vec<_> = function.arguments.iter().map(|argument| argument.name.to_string()).collect();
        assert_eq!(names, ["arg0", "id", "arg2"]);
        assert_eq!(function.argument(&format_ident!("db")), Some(0));
        assert!(!function.arguments[1].is_plain() && function.arguments[1].is_named());
    }

    #[test]
    fn a_name_like_ours_is_left_to_the_user() {
        let function = parse(quote! { fn f((a, b): (u8, u8), arg0: u8) {} });
        assert_eq!(function.arguments[0].name.to_string(), "__hc_arg0");
    }

    #[test]
    fn futures_are_seen_by_their_spelling() {
        let function = parse(quote! {
            fn f<'a>(&'a self) -> ::core::pin::Pin<Box<dyn ::core::future::Future<Output = Result<u8, E>> + Send + 'a>> { todo }
        });
        assert_eq!(function.flow(), Flow::Boxed);
        assert_eq!(function.output().to_token_stream().to_string(), quote!(Result<u8, E>).to_string());
        assert!(function.is_method());
        let function = parse(quote! { fn f(id: u8) -> impl Future<Output = Option<u8>> + Send { todo } });
        assert_eq!(function.flow(), Flow::Unboxed);
        assert_eq!(function.output().to_token_stream().to_string(), quote!(Option<u8>).to_string());
        let function = parse(quote! { async fn f() -> impl Future<Output = u8> { todo } });
        assert!(function.flow() == Flow::Async && matches!(function.output(), Type::ImplTrait(_)));
    }

    #[test]
    fn what_is_no_function_is_told_so() {
        let refused = |tokens| syn::parse2::<Function>(tokens).err().map(|error| error.to_string()).unwrap_or_default();
        assert!(refused(quote! { struct S; }).contains("on a function or a method"));
        assert!(refused(quote! { const LIMIT: usize = 1; }).contains("on a function or a method"));
        assert!(refused(quote! { fn f(&self) -> u8; }).contains("no body"));
    }
}
