// SPDX-License-Identifier: GPL-2.0-only
using System.CommandLine;
using System.Text.Json;
using MemcgNative.Native;

namespace MemcgNative.Bench;

/// <summary>`topology`: the tree, or the same as JSON.</summary>
internal sealed class TopologyCommand(CommandContext context)
{
    public int Run(ParseResult parsed)
    {
        string format = OptionSet.Word("--format", parsed.GetValue(context.Options.Format), "table", "json");
        Topology topology = new ScenarioReader(parsed, context.Options, context.Environment).Machine(mayBeMadeUp: true);
        if (format == "json")
        {
            context.Out.WriteLine(JsonSerializer.Serialize(TopologyModel.From(topology), ResultJson.Default.TopologyModel));
            return ExitCode.Done;
        }
        foreach (string line in TopologyText.Tree(topology, context.Environment.Unicode)) context.Out.WriteLine(line);
        return ExitCode.Done;
    }
}
