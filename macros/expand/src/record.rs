//! The closures that inspect the output of a function and record it.

use proc_macro2::TokenStream;
use quote::quote;
use syn::Ident;

use crate::body::{Expansion, hidden};
use crate::options::Record;
use crate::shape::Work;

/// How to find an error in an output.
enum Errors {
    /// The output holds no error, or errors are off.
    None,
    /// Checks the output's type: a value that is not a `Result` contains no error.
    IfAny(Record),
    /// An option requires a `Result`; another type is a compile error.
    Always(Record),
}

impl Expansion<'_> {
    fn errors(&self) -> Errors {
        match (self.options.err, &self.options.err_if) {
            (Some(Record::Off), _) => Errors::None,
            _ if self.shape.returns_never() => Errors::None,
            (Some(given), _) => Errors::Always(given),
            (None, Some(_)) => Errors::Always(Record::Plain),
            (None, None) if self.may_return_result() => Errors::IfAny(Record::Plain),
            (None, None) => Errors::None,
        }
    }

    fn may_return_result(&self) -> bool {
        let is_hidden = self.tracks_caller && !self.shape.is_called_result();
        !is_hidden && self.shape.may_return_result(self.signature)
    }

    /// Returns an expression for the error or the success in `output`, an `Option`.
    fn found(&self, errors: &Errors, which: &str, output: &Ident) -> TokenStream {
        let private = &self.private;
        let which = Ident::new(which, proc_macro2::Span::call_site());
        match errors {
            Errors::Always(_) => self.at_output(quote!(#private::Fallible::#which), output),
            Errors::IfAny(_) | Errors::None => {
                let output = self.at_output(quote!(#private::Output::new), output);
                self.at_output(quote!(#output.#which), &TokenStream::new())
            }
        }
    }

    /// Returns the `err_if` condition, if there is one.
    fn condition(&self, error: &Ident) -> Option<TokenStream> {
        let private = &self.private;
        let err_if = self.options.err_if.as_ref()?;
        Some(quote!(#private::is_failure(#error, #err_if)))
    }

    /// Returns the closure that determines the name of the output's error type, for the metric.
    pub(crate) fn outcome(&self) -> TokenStream {
        let private = &self.private;
        let output = hidden("output");
        let parameter = self.output_parameter(&output);
        match self.error_type(&output) {
            None => quote!(#private::success),
            Some(error_type) => quote!(|#parameter| #error_type),
        }
    }

    /// Returns an expression for the name of the output's error type, an `Option`, unless there are no errors.
    fn error_type(&self, output: &Ident) -> Option<TokenStream> {
        let private = &self.private;
        let errors = self.errors();
        if matches!(errors, Errors::None) {
            return None;
        }
        let error = hidden("error");
        let found = self.found(&errors, "error", output);
        let filter = self.condition(&error).map(|condition| quote!(.filter(|&#error| #condition)));
        Some(quote!(#found #filter.map(|#error| #private::Described::new(#error).error_type())))
    }

    /// Returns the closure that records the output, if there is anything to record.
    pub(crate) fn record(&self) -> Option<TokenStream> {
        let (span, output) = (hidden("span"), hidden("output"));
        let code = self.record_code(&span, &output)?;
        let parameter = self.output_parameter(&output);
        Some(quote!(|#span, #parameter| { #code }))
    }

    /// Returns the closure that records the output on a span, or determines the name of its error's type if there is no span and the
    /// call `is_measured`. Returns `None` if there is nothing to do.
    pub(crate) fn observe(&self, is_measured: bool) -> Option<TokenStream> {
        let (span, output) = (hidden("span"), hidden("output"));
        let code = self.record_code(&span, &output);
        let outcome = is_measured.then(|| self.error_type(&output)).flatten();
        if code.is_none() && outcome.is_none() {
            return None;
        }
        let private = &self.private;
        let outcome = outcome.unwrap_or_else(|| quote!(#private::None));
        Some(quote!(|#span, #output| if let #private::Some(#span) = #span { #code #private::None } else { #outcome }))
    }

    /// Returns the statements that record the output, if there is anything to record.
    fn record_code(&self, span: &Ident, output: &Ident) -> Option<TokenStream> {
        let errors = self.errors();
        let ret = self.options.ret.unwrap_or(Record::Off);
        if self.shape.returns_never() || (matches!(errors, Errors::None) && ret == Record::Off) {
            return None;
        }
        let err_code = self.record_err(&errors, span, output);
        let ret_code = self.record_ret(ret, &errors, span, output);
        Some(quote!(#err_code #ret_code))
    }

    /// Returns the parameter for the output. Its type is written out if the body creates a future or a stream, because
    /// the compiler would infer the type only after the code that inspects the output.
    fn output_parameter(&self, output: &Ident) -> TokenStream {
        match (&self.shape.work, self.shape.output_to_infer()) {
            (Work::Value { .. }, returned) if self.shape.output.is_some() => {
                quote!(#output: &#returned)
            }
            _ => quote!(#output),
        }
    }

    fn record_err(&self, errors: &Errors, span: &Ident, output: &Ident) -> TokenStream {
        let (private, error) = (&self.private, hidden("error"));
        let record = match errors {
            Errors::None => return TokenStream::new(),
            Errors::IfAny(record) | Errors::Always(record) => *record,
        };
        let described = quote!(#private::Described::new(#error).description());
        let shown = match record {
            Record::Off | Record::Plain => None,
            Record::Display => Some(self.at_output(quote!(#private::display), &error)),
            Record::Debug => Some(self.at_output(quote!(#private::debug), &error)),
        };
        let shown = shown.map(|text| quote!(.shown_as(#text)));
        let description = quote!(#described #shown);
        let found = self.found(errors, "error", output);
        let fail = quote!(#span.fail(#description, #private::Described::new(#error).error_type()););
        let fail = match self.condition(&error) {
            None => fail,
            Some(condition) => quote!(if #condition { #fail }),
        };
        let over = self.over(errors, output);
        quote! {
            #over
            if let #private::Some(#error) = #found {
                #fail
            }
        }
    }

    /// Returns the statement that refuses a boxed future under an alias, which the macro cannot recognize.
    fn over(&self, errors: &Errors, output: &Ident) -> Option<TokenStream> {
        let private = &self.private;
        let is_unsaid = matches!(self.shape.work, Work::Call) && self.options.lifetime.is_none();
        (is_unsaid && matches!(errors, Errors::IfAny(_))).then(|| {
            let call = self.at_output(quote!(#private::Call::new), output);
            let over = self.at_output(quote!(#call.is_over), &TokenStream::new());
            quote!(#over;)
        })
    }

    fn record_ret(&self, ret: Record, errors: &Errors, span: &Ident, output: &Ident) -> TokenStream {
        let (private, value) = (&self.private, hidden("value"));
        let is_fallible = matches!(errors, Errors::Always(_)) || self.may_return_result();
        let given = if is_fallible { &value } else { output };
        let set = match ret {
            Record::Off => return TokenStream::new(),
            Record::Plain => self.at_output(quote!(#private::set_return), &quote!(#span, #given)),
            Record::Display => {
                let text = self.at_output(quote!(#private::display), given);
                quote!(#private::set_return(#span, &#text))
            }
            Record::Debug => {
                let text = self.at_output(quote!(#private::debug), given);
                quote!(#private::set_return(#span, &#text))
            }
        };
        if !is_fallible {
            return quote!(#set;);
        }
        let found = self.found(errors, "value", output);
        quote! {
            if let #private::Some(#value) = #found {
                #set;
            }
        }
    }
}
