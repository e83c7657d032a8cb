//! Primitives with words and values of their own: bytes, ATM and SS7 fields, 802.11, LLC, pf.

use super::{Operand, Parsed, Parser, relation};
use crate::filter::FilterError;
use crate::filter::keyword::{
    Keyword as K, LLC_SUPERVISORY, LLC_UNNUMBERED, PF_ACTIONS, PF_REASONS, WLAN_DIRS,
    WLAN_SUBTYPES, WLAN_TYPES, find,
};
use crate::filter::lex::Token;
use crate::filter::program::op;
use crate::filter::syntax::{ByteOp, Llc, Pf, Relation, Step};

impl Parser<'_> {
    /// `byte N op N`, the word being read.
    pub(super) fn byte(&mut self) -> Parsed<Step> {
        let offset = self.expect_number()?;
        let operator = match self.advance()? {
            Token::Symbol("=") => ByteOp::Equal,
            Token::Symbol("<") => ByteOp::Less,
            Token::Symbol(">") => ByteOp::Greater,
            Token::Symbol("&") => ByteOp::And,
            Token::Symbol("|") => ByteOp::Or,
            _ => return Err(FilterError::syntax()),
        };
        Ok(Step::Byte(offset, operator, self.expect_number()?))
    }

    /// The value or values that an ATM or SS7 field is compared with.
    pub(super) fn field(&mut self, step: impl Fn(Relation, u32) -> Step) -> Parsed<Operand> {
        const EQUAL: Relation = Relation { jump: op::JEQ, negated: false };
        if let Some(relation) = relation(&self.token) {
            self.advance()?;
            let value = self.expect_number()?;
            self.steps.push(step(relation, value));
        } else if self.take_symbol("(")? {
            let value = self.expect_number()?;
            self.steps.push(step(EQUAL, value));
            while self.at_word(K::Or) {
                self.advance()?;
                let value = self.expect_number()?;
                self.steps.push(step(EQUAL, value));
                self.steps.push(Step::Or);
            }
            self.expect_symbol(")")?;
        } else {
            let value = self.expect_number()?;
            self.steps.push(step(EQUAL, value));
        }
        Ok(Operand::Term(None))
    }

    pub(super) fn wlan_type(&mut self) -> Parsed<Step> {
        let kind = match self.advance()? {
            Token::Number(number) if number & !0x0c != 0 => {
                return Err(FilterError::new(format!("invalid 802.11 type value 0x{number:02x}")));
            }
            Token::Number(number) => number,
            Token::Name(name) => find(WLAN_TYPES, name)
                .ok_or_else(|| FilterError::new(format!("unknown 802.11 type name \"{name}\"")))?,
            _ => return Err(FilterError::syntax()),
        };
        if !self.at_word(K::Subtype) {
            return Ok(Step::WlanType(kind, 0x0c));
        }
        self.advance()?;
        let subtype = match self.advance()? {
            Token::Number(number) if number & !0xf0 != 0 => {
                let text = format!("invalid 802.11 subtype value 0x{number:02x}");
                return Err(FilterError::new(text));
            }
            Token::Number(number) => number,
            Token::Name(name) => {
                let names = WLAN_SUBTYPES.iter().find(|(of, _)| *of == kind);
                let (_, names) = names.ok_or_else(|| FilterError::new("unknown 802.11 type"))?;
                find(names, name).ok_or_else(|| {
                    FilterError::new(format!("unknown 802.11 subtype name \"{name}\""))
                })?
            }
            _ => return Err(FilterError::syntax()),
        };
        Ok(Step::WlanType(kind | subtype, 0xfc))
    }

    pub(super) fn wlan_subtype(&mut self) -> Parsed<Step> {
        let name = self.expect_name()?;
        let found = WLAN_SUBTYPES
            .iter()
            .find_map(|(kind, names)| find(names, name).map(|subtype| kind | subtype));
        let value = found.ok_or_else(|| FilterError::new("unknown 802.11 type name"))?;
        Ok(Step::WlanType(value, 0xfc))
    }

    pub(super) fn wlan_direction(&mut self) -> Parsed<Step> {
        match self.advance()? {
            Token::Number(number) => Ok(Step::WlanDir(number)),
            Token::Name(name) => find(WLAN_DIRS, name)
                .map(Step::WlanDir)
                .ok_or_else(|| FilterError::new("unknown 802.11 direction")),
            _ => Err(FilterError::syntax()),
        }
    }

    pub(super) fn llc(&mut self) -> Parsed<Step> {
        let name = match self.token {
            Token::Name(name) => name,
            // `rnr` is a word of the pf log too.
            Token::Word(K::PfRule) => "rnr",
            _ => return Ok(Step::Llc(Llc::Any)),
        };
        self.advance()?;
        let llc = match name.to_ascii_lowercase().as_str() {
            "i" => Some(Llc::I),
            "s" => Some(Llc::S),
            "u" => Some(Llc::U),
            name => find(LLC_SUPERVISORY, name)
                .map(Llc::Supervisory)
                .or_else(|| find(LLC_UNNUMBERED, name).map(Llc::Unnumbered)),
        };
        llc.map(Step::Llc)
            .ok_or_else(|| FilterError::new(format!("unknown LLC type name \"{name}\"")))
    }

    pub(super) fn pf_reason(&mut self) -> Parsed<Step> {
        match self.advance()? {
            Token::Number(number) => Ok(Step::Pf(Pf::Reason(number))),
            Token::Name(name) => find(PF_REASONS, name)
                .map(|reason| Step::Pf(Pf::Reason(reason)))
                .ok_or_else(|| FilterError::new(format!("unknown PF reason \"{name}\""))),
            _ => Err(FilterError::syntax()),
        }
    }

    pub(super) fn pf_action(&mut self) -> Parsed<Step> {
        let name = self.expect_name()?;
        find(PF_ACTIONS, name)
            .map(|action| Step::Pf(Pf::Action(action)))
            .ok_or_else(|| FilterError::new(format!("unknown PF action \"{name}\"")))
    }
}
