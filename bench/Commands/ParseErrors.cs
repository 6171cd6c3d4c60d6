// SPDX-License-Identifier: GPL-2.0-only
using System.CommandLine;

namespace MemcgNative.Bench;

/// <summary>One line in place of the library's message and its page of help.</summary>
internal static class ParseErrors
{
    public static string OneLine(ParseResult parsed, string[] args)
    {
        Command command = parsed.CommandResult.Command;
        string[] commands = [.. command.Subcommands.Select(c => c.Name)];
        string? token = parsed.UnmatchedTokens.Count > 0 ? parsed.UnmatchedTokens[0] : null;
        if (token is not null && token.StartsWith('-') && token.Length > 1)
        {
            string name = token.Split('=')[0];
            return $"unknown option '{name}' of {NameOf(command)}{Nearest.Hint(name, command.Options.Concat(RecursiveOf(parsed)).Select(o => o.Name).Append("--help"))} "
                + $"See: {See(command)}";
        }
        if (token is not null && commands.Length > 0) return $"unknown command '{token}'{Nearest.Hint(token, commands)} Known: {string.Join(", ", commands)}";
        if (token is not null) return $"'{token}' is one argument too many for {NameOf(command)}. See: {See(command)}";
        if (args.Length == 0 || (commands.Length > 0 && parsed.Errors[0].SymbolResult is null or System.CommandLine.Parsing.CommandResult))
        {
            if (commands.Length > 0) return $"which command? {string.Join(", ", commands)}. See: {See(command)}";
        }
        Argument? missing = command.Arguments.FirstOrDefault(a => a.Arity.MinimumNumberOfValues > 0 && parsed.GetResult(a) is null or { Tokens.Count: 0 });
        if (missing is not null && parsed.Errors[0].SymbolResult is not System.CommandLine.Parsing.OptionResult)
            return $"{NameOf(command)}: which {missing.Name}? "
                + (missing.Name == "workload" ? $"Known: {string.Join(", ", WorkloadList.All.Select(w => w.Name))}" : $"See: {See(command)}");
        if (parsed.Errors[0].SymbolResult is System.CommandLine.Parsing.OptionResult option)
            return option.Tokens.Count == 0 ? $"{option.Option.Name}: a value is missing{Help(option.Option)}" : $"{option.Option.Name}: is there more than once; say it once";
        return parsed.Errors[0].Message.TrimEnd('.').ReplaceLineEndings(" ");
    }

    private static IEnumerable<Option> RecursiveOf(ParseResult parsed) => parsed.RootCommandResult.Command.Options;

    private static string Help(Option option) => option.HelpName is { } help ? $": {option.Name} {help}" : "";

    private static string NameOf(Command command) => command is RootCommand ? "memcgnative" : command.Name;

    private static string See(Command command) => command is RootCommand ? "memcgnative --help" : $"memcgnative {command.Name} --help";
}
