// SPDX-License-Identifier: GPL-2.0-only
using MemcgNative.Native;

namespace MemcgNative.Tests.Unit;

/// <summary>The recorded and made-up machines of Fixtures/machines, by name.</summary>
internal static class Machines
{
    internal static string Directory { get; } = Find();

    internal static IEnumerable<string> Names => System.IO.Directory.GetDirectories(Directory).Select(d => Path.GetFileName(d)!).Order(StringComparer.Ordinal);

    internal static RecordedSysRoot Root(string name) => MachineRecording.Open(Path.Combine(Directory, name));

    internal static Topology Load(string name) => SysfsTopology.Read(Root(name));

    private static string Find()
    {
        for (var d = new DirectoryInfo(AppContext.BaseDirectory); d is not null; d = d.Parent)
            if (File.Exists(Path.Combine(d.FullName, "MemcgNative.sln")))
                return Path.Combine(d.FullName, "tests", "Unit", "Fixtures", "machines");
        throw new InvalidOperationException("run the tests inside the repository");
    }
}
