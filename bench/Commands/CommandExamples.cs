// SPDX-License-Identifier: GPL-2.0-only
using System.CommandLine;

namespace MemcgNative.Bench;

/// <summary>What `COMMAND --help` shows beside the options; a test parses every line.</summary>
internal static class CommandExamples
{
    private static readonly Dictionary<string, string[]> lines = new()
    {
        ["topology"] = ["memcgnative topology", "memcgnative topology --topology \"pack:2 numa:2 core:8 pu:2\" --format json"],
        ["placement"] = ["memcgnative placement -m bind:0 -p thp --footprint 1G", "memcgnative placement -m interleave:0-1 --format json"],
        ["run"] =
        [
            "memcgnative run charge-uncharge -C node:0 -t 4", "memcgnative run fault -t 1,2 -M 3.19 -M 3.19,stock=None",
            "memcgnative run charge-uncharge -t 1 --twin", "memcgnative run --preset 2009-stock",
        ],
        ["sweep"] = ["memcgnative sweep", "memcgnative sweep fault -M 3.17 -M 3.19 -o seven-years", "memcgnative sweep fault -t 1,50%,100% --private --until 1%"],
        ["dying"] = ["memcgnative dying", "memcgnative dying --groups 100 --objects 3 -M 3.14 -M 7.1"],
        ["offline"] = ["memcgnative offline", "memcgnative offline --caches 1,10,100 -M 5.3"],
        ["slab"] = ["memcgnative slab --groups 50", "memcgnative slab -M 5.3 --groups 4 --removed"],
        ["list"] = ["memcgnative list eras", "memcgnative list axes --format json"],
        ["cleanup"] = ["memcgnative cleanup --dry-run", "memcgnative cleanup --rehearse 10s"],
        ["matrix"] = ["memcgnative matrix cpu --line page_counter", "memcgnative matrix node -o lines", "memcgnative matrix lines -M 3.19 -M 6.18 --private"],
        ["compare"] =
        [
            "memcgnative compare before.json after.json --threshold 1%", "memcgnative compare two-models.json --fail-on slower,unknown", "memcgnative compare --prove -v",
        ],
        ["report"] = ["memcgnative report result.json", "memcgnative report result.json lines.json -o result.md", "memcgnative report --extract result.html"],
        ["doctor"] = ["memcgnative doctor", "memcgnative doctor --dry-run --format json"],
        ["completion"] = ["memcgnative completion bash", "memcgnative completion fish"],
        ["man"] = ["memcgnative man"],
        ["schema"] = ["memcgnative schema"],
        ["kernel"] = ["memcgnative kernel probe -o probe", "memcgnative kernel compare sweep.json probe.json"],
    };

    /// <summary>The lines of a command, or none where its description has its own.</summary>
    public static IReadOnlyList<string> Of(Command command) => lines.GetValueOrDefault(command.Name, []);

    /// <summary>Before help of a command is printed: its examples behind its description, and of the commands below it the first sentence.</summary>
    public static void Show(Command command)
    {
        foreach (Command below in command.Subcommands) below.Description = below.Description?.Split("\n\n")[0];
        if (Of(command) is { Count: > 0 } own && command is not RootCommand && command.Description?.Contains("\n\n", StringComparison.Ordinal) != true)
            command.Description += "\n\n  " + string.Join("\n  ", own);
    }
}
