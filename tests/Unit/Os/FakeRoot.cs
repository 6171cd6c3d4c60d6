// SPDX-License-Identifier: GPL-2.0-only
namespace MemcgNative.Tests.Unit;

/// <summary>A made-up /sys and /proc in a temporary directory.</summary>
internal sealed class FakeRoot : IDisposable
{
    public string Path { get; } = Directory.CreateTempSubdirectory("memcgnative-root-").FullName;

    public void Write(string file, string text)
    {
        string path = System.IO.Path.Combine(Path, file);
        Directory.CreateDirectory(System.IO.Path.GetDirectoryName(path)!);
        File.WriteAllText(path, text);
    }

    public void Dispose() => Directory.Delete(Path, recursive: true);
}
