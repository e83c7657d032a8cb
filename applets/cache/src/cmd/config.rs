//! CONFIG: reading and changing the configuration while the server runs.

use box_wire::resp::Args;

use super::{Ctx, Done, Error};
use crate::glob;

/// `CONFIG GET pattern [pattern ...]`
pub fn get(ctx: &mut Ctx<'_>, args: Args<'_>) -> Done {
    let pairs: Vec<_> = ctx
        .config
        .pairs()
        .into_iter()
        .filter(|(name, _)| {
            args.from(2).iter().any(|pattern| glob::matches(pattern, name.as_bytes(), true))
        })
        .collect();
    ctx.out.map(pairs.len());
    for (name, value) in pairs {
        ctx.out.bulk(name.as_bytes());
        ctx.out.bulk(value.as_bytes());
    }
    Ok(())
}

/// `CONFIG SET name value [name value ...]`
pub fn set(ctx: &mut Ctx<'_>, args: Args<'_>) -> Done {
    if !args.len().is_multiple_of(2) {
        return Err(super::SYNTAX);
    }
    let mut pairs = Vec::new();
    for at in (2..args.len()).step_by(2) {
        let name = String::from_utf8_lossy(args.at(at)).into_owned();
        let value = String::from_utf8_lossy(args.at(at + 1)).into_owned();
        pairs.push((name, value));
    }
    let trusted = super::debug::is_allowed(ctx, "enable-protected-configs");
    ctx.server.change_config(&pairs, trusted).map_err(Error::made)?;
    ctx.out.ok();
    Ok(())
}

/// `CONFIG RESETSTAT`
pub fn resetstat(ctx: &mut Ctx<'_>, _: Args<'_>) -> Done {
    ctx.server.reset_stats();
    ctx.out.ok();
    Ok(())
}

/// `CONFIG REWRITE`
pub fn rewrite(ctx: &mut Ctx<'_>, _: Args<'_>) -> Done {
    let Some(path) = &ctx.config.file else {
        return Err(Error::fixed("ERR The server is running without a config file"));
    };
    ctx.config.rewrite(path).map_err(|error| {
        Error::made(format!("ERR Rewriting config file: {}", box_kit::exit::kernel_words(&error)))
    })?;
    ctx.out.ok();
    Ok(())
}

/// `CONFIG HELP`
pub fn help(ctx: &mut Ctx<'_>, _: Args<'_>) -> Done {
    ctx.out.help(
        "CONFIG",
        &[
            "GET <pattern>",
            "    Return parameters matching the glob-like <pattern> and their values.",
            "SET <directive> <value>",
            "    Set the configuration <directive> to <value>.",
            "RESETSTAT",
            "    Reset statistics reported by the INFO command.",
            "REWRITE",
            "    Rewrite the configuration file.",
        ],
    );
    Ok(())
}
