/* SPDX-License-Identifier: BSD-3-Clause */
/* complete.c - completion for bash, made from the tables that --help is made from
 *
 * What differs between commands is data, a line each; what is done with it is the same few lines of shell.
 *
 *     keys\ psk)  words="FILE"  options="--identity=NAME --force" ;;
 */
#include "complete.h"

#include <ferry/codes.h>
#include <string.h>

static const char *const shell =
    "_ferry_values() # FORM: what a value of this form may be\n"
    "{\n"
    "    case $1 in\n"
    "    *'|'*) COMPREPLY=($(compgen -W \"$(printf '%s\\n' ${1//|/ } | grep -v '[A-Z]')\" -- \"$2\")) ;;\n"
    "    FILE | PATH | DIR | STREAM | CHANNEL | A | B) compopt -o filenames 2>/dev/null; "
    "COMPREPLY=($(compgen -f -- \"$2\")) ;;\n"
    "    URI) compopt -o nospace 2>/dev/null; COMPREPLY=($(compgen -W \"$_ferry_kinds\" -- \"$2\")) ;;\n"
    "    SPEC | KIND) COMPREPLY=($(compgen -W 'pattern kvm' -- \"$2\")) ;;\n"
    "    LEVEL) COMPREPLY=($(compgen -W 'warn info debug trace' -- \"$2\")) ;;\n"
    "    SIDE) COMPREPLY=($(compgen -W 'source destination' -- \"$2\")) ;;\n"
    "    CODE) COMPREPLY=($(compgen -W \"$_ferry_codes\" -- \"$2\")) ;;\n"
    "    COMMAND) COMPREPLY=($(compgen -W \"$_ferry_commands\" -- \"$2\")) ;;\n"
    "    esac\n"
    "}\n"
    "\n"
    "_ferry()\n"
    "{\n"
    "    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} command=${COMP_WORDS[1]}\n"
    "    local options='' words='' sub='' spec IFS=$' \\t\\n'\n"
    "    COMPREPLY=()\n"
    "    # --NAME=VALUE comes as three words\n"
    "    if [[ $cur == = ]]; then\n"
    "        cur=''\n"
    "    elif [[ $prev == = ]]; then\n"
    "        prev=${COMP_WORDS[COMP_CWORD-2]}\n"
    "    fi\n"
    "    if ((COMP_CWORD == 1)); then\n"
    "        COMPREPLY=($(compgen -W \"$_ferry_commands --help --version\" -- \"$cur\"))\n"
    "        return\n"
    "    fi\n"
    "    _ferry_table \"$command\"\n"
    "    if [[ $sub && $COMP_CWORD -eq 2 ]]; then\n"
    "        COMPREPLY=($(compgen -W \"$sub --help\" -- \"$cur\"))\n"
    "        return\n"
    "    elif [[ $sub ]]; then\n"
    "        _ferry_table \"$command ${COMP_WORDS[2]}\"\n"
    "    fi\n"
    "    for spec in $options; do\n"
    "        if [[ $spec == \"$prev\"=* ]]; then\n"
    "            _ferry_values \"${spec#*=}\" \"$cur\"\n"
    "            return\n"
    "        fi\n"
    "    done\n"
    "    if [[ $cur == -* ]]; then\n"
    "        set -- $options --help\n"
    "        COMPREPLY=($(compgen -W \"${*%%=*}\" -- \"$cur\"))\n"
    "    elif [[ $words ]]; then\n"
    "        _ferry_values \"$words\" \"$cur\"\n"
    "    fi\n"
    "}\n"
    "complete -F _ferry ferry\n";

static void put_rows(FILE *to, const struct args_row *rows)
{
    for (const struct args_row *row = rows; row && row->name; row++)
        fprintf(to, " --%s%s%s", row->name, row->form ? "=" : "", row->form ? row->form : "");
}

static void put_form(FILE *to, const struct args_command *form)
{
    struct ferry_option_info info;

    fprintf(to, "    '%s') words='%s' options='", form->name, form->positional ? form->positional : "");
    put_rows(to, form->rows);
    put_rows(to, form->common);
    for (unsigned i = 0; ferry_option_info(i, &info); i++)
        if (args_has_setting(form, info.name))
            fprintf(to, " --%s=%s", info.name, info.form);
    fprintf(to, "' ;;\n");
}

/* "keys": what may follow. */
static void put_words(FILE *to, const struct command *command)
{
    fprintf(to, "    '%s') sub='", command->name);
    for (unsigned i = 0; i < COMMAND_FORMS && command->forms[i]; i++)
        fprintf(to, " %s", command->forms[i]->name + strlen(command->name) + 1);
    fprintf(to, "' ;;\n");
}

void complete_bash(FILE *to, const struct command *commands)
{
    const struct ferry_code_info *info;

    fprintf(to, "# SPDX-License-Identifier: BSD-3-Clause\n"
                "# ferry - completion for bash; made by `ferry help --bash-completion`, do not edit\n\n"
                "_ferry_kinds='tcp: unix: vsock: fd: exec: file:'\n_ferry_commands='");
    for (const struct command *c = commands; c->name; c++)
        fprintf(to, " %s", c->name);
    fprintf(to, "'\n_ferry_codes='");
    for (unsigned i = 0; (info = ferry_code_at(i)); i++)
        fprintf(to, " %s", info->name);
    fprintf(to, "'\n\n_ferry_table() # COMMAND: sets what may follow it\n{\n    case $1 in\n");
    for (const struct command *c = commands; c->name; c++) {
        if (c->forms[0] && strcmp(c->forms[0]->name, c->name))
            put_words(to, c);
        for (unsigned i = 0; i < COMMAND_FORMS && c->forms[i]; i++)
            put_form(to, c->forms[i]);
    }
    fprintf(to, "    esac\n}\n\n%s", shell);
}
