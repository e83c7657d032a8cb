//! SAVE and its kin.

use box_wire::resp::Args;

use super::{Ctx, Done, Error, SYNTAX, is};

/// `SAVE`
pub fn save(ctx: &mut Ctx<'_>, _: Args<'_>) -> Done {
    if ctx.server.saver.is_saving() {
        return Err(Error::fixed("ERR Background save already in progress"));
    }
    let path = ctx.config.rdb_path();
    let shards = ctx.db.view.shards();
    match crate::persist::rdb::save_held(ctx.server, ctx.config, shards, &path) {
        Ok(()) => ctx.out.ok(),
        Err(_) => return Err(Error::fixed("ERR")),
    }
    Ok(())
}

/// `BGSAVE [SCHEDULE]`
pub fn bgsave(ctx: &mut Ctx<'_>, args: Args<'_>) -> Done {
    match args.get(1) {
        None => {}
        Some(word) if args.len() == 2 && is(word, "schedule") => {}
        Some(_) => return Err(SYNTAX),
    }
    if ctx.server.saver.is_saving() {
        return Err(Error::fixed("ERR Background save already in progress"));
    }
    ctx.session.after = Some(crate::server::session::After::Save);
    ctx.out.status("Background saving started");
    Ok(())
}

/// `BGREWRITEAOF`
pub fn bgrewriteaof(ctx: &mut Ctx<'_>, _: Args<'_>) -> Done {
    if ctx.server.saver.is_rewriting() {
        return Err(Error::fixed(
            "ERR Background append only file rewriting already in progress",
        ));
    }
    ctx.session.after = Some(crate::server::session::After::Rewrite);
    ctx.out.status("Background append only file rewriting started");
    Ok(())
}

/// `LASTSAVE`
pub fn lastsave(ctx: &mut Ctx<'_>, _: Args<'_>) -> Done {
    ctx.out.int(ctx.server.saver.last_save_s());
    Ok(())
}

/// `SHUTDOWN [NOSAVE|SAVE] [NOW] [FORCE] [ABORT]`
pub fn shutdown(ctx: &mut Ctx<'_>, args: Args<'_>) -> Done {
    let (mut save, mut nosave, mut force, mut abort) = (false, false, false, false);
    for word in args.from(1).iter() {
        match word {
            _ if is(word, "save") => save = true,
            _ if is(word, "nosave") => nosave = true,
            _ if is(word, "now") => {}
            _ if is(word, "force") => force = true,
            _ if is(word, "abort") => abort = true,
            _ => return Err(SYNTAX),
        }
    }
    if (save && nosave) || (abort && args.len() > 2) {
        return Err(SYNTAX);
    }
    if abort {
        return Err(Error::fixed("ERR No shutdown in progress."));
    }
    let wish = if save { Some(true) } else if nosave { Some(false) } else { None };
    ctx.session.after = Some(crate::server::session::After::Shutdown { wish, force });
    Ok(())
}
