//! MODULE: there are none, and none can be loaded.

use box_wire::resp::Args;

use super::{Ctx, Done, Error};

/// `MODULE LIST`
pub fn list(ctx: &mut Ctx<'_>, _: Args<'_>) -> Done {
    ctx.out.array(0);
    Ok(())
}

/// `MODULE LOAD`, `LOADEX`, `UNLOAD`
pub fn not_allowed(_: &mut Ctx<'_>, _: Args<'_>) -> Done {
    Err(Error::fixed(
        "ERR MODULE command not allowed. If the enable-module-command option is set to \"local\", \
         you can run it from a local connection, otherwise you need to set this option in the \
         configuration file, and then restart the server.",
    ))
}

/// `MODULE HELP`
pub fn help(ctx: &mut Ctx<'_>, _: Args<'_>) -> Done {
    ctx.out.help(
        "MODULE",
        &[
            "LIST",
            "    Return a list of loaded modules.",
            "LOAD <path> [<arg> ...]",
            "    Load a module library from <path>, passing to it any optional arguments.",
            "LOADEX <path> [[CONFIG NAME VALUE] [CONFIG NAME VALUE]] [ARGS ...]",
            "    Load a module library from <path>, while passing it module configurations and \
             optional arguments.",
            "UNLOAD <name>",
            "    Unload a module.",
        ],
    );
    Ok(())
}
