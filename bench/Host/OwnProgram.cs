// SPDX-License-Identifier: GPL-2.0-only
using System.Diagnostics;

namespace MemcgNative.Bench;

/// <summary>This program once more, as a child.</summary>
internal static class OwnProgram
{
    /// <summary>
    /// Ready for arguments. Started is, in this order: the executable in the folder of the assemblies (a build; also when a test hosts them);
    /// the running one, which holds them or knows where they are (a single file under any name, a tool's shim); dotnet with the assembly.
    /// </summary>
    public static ProcessStartInfo Start()
    {
        string program = Path.Combine(AppContext.BaseDirectory, "memcgnative"), running = Environment.ProcessPath!;
        if (File.Exists(program)) return new ProcessStartInfo(program) { UseShellExecute = false };
        var info = new ProcessStartInfo(running) { UseShellExecute = false };
        if (Path.GetFileNameWithoutExtension(running) == "dotnet") info.ArgumentList.Add(Path.Combine(AppContext.BaseDirectory, "memcgnative.dll"));
        return info;
    }
}
