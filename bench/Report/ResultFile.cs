// SPDX-License-Identifier: GPL-2.0-only
using MemcgNative.Native;

namespace MemcgNative.Bench;

/// <summary>
/// Where -o writes: a name ending in .json as it is, any other with .json added. A whole file or none: written beside and renamed; that
/// this will work is tried before anything is measured.
/// </summary>
internal sealed class ResultFile
{
    private ResultFile(string path, bool device) => (Path, isDevice) = (path, device);

    private readonly bool isDevice;

    /// <summary>Written through, not renamed over.</summary>
    public bool IsDevice => isDevice;

    public string Path { get; }

    /// <summary>Checks that the file can be made.</summary>
    /// <exception cref="OutputException">One line.</exception>
    /// <param name="extension">Added where the name has another; null: the name is taken as it is.</param>
    public static ResultFile Open(string name, string? extension = ".json")
    {
        if (name.Length == 0 || name.EndsWith('/')) throw new UsageException($"--out: '{name}' is not a file name");
        if (Directory.Exists(name)) throw new UsageException($"--out: '{name}' is a directory; give a file name");
        // A device is written through: it cannot be renamed over.
        bool device = name.StartsWith("/dev/", StringComparison.Ordinal) && File.Exists(name);
        string path = device || extension is null || name.EndsWith(extension, StringComparison.OrdinalIgnoreCase) ? name : name + extension;
        var file = new ResultFile(path, device);
        string directory = System.IO.Path.GetDirectoryName(System.IO.Path.GetFullPath(path))!;
        if (!Directory.Exists(directory)) throw new OutputException($"--out: the directory '{directory}' does not exist; make it with: mkdir -p {directory}", ExitCode.NotHere);
        file.Try(() =>
        {
            if (device)
            {
                File.WriteAllText(path, "\n"); // white space before a JSON document does no harm
                return;
            }
            string probe = file.Temporary;
            File.WriteAllText(probe, "{}\n");
            File.Delete(probe);
        }, ExitCode.NotHere);
        return file;
    }

    /// <summary>Writes the whole text, or nothing.</summary>
    /// <exception cref="OutputException">One line; a half-written file never stays.</exception>
    public void Write(string text) => Try(() =>
    {
        if (isDevice)
        {
            File.WriteAllText(Path, text);
            return;
        }
        using (var stream = new FileStream(Temporary, FileMode.Create, FileAccess.Write))
        using (var writer = new StreamWriter(stream))
        {
            writer.Write(text);
            writer.Flush();
            stream.Flush(flushToDisk: true);
        }
        File.Move(Temporary, Path, overwrite: true);
    }, ExitCode.Failed);

    private string Temporary => $"{Path}.{Environment.ProcessId}.tmp";

    private void Try(Action write, int exitCode)
    {
        try
        {
            write();
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            try
            {
                if (!isDevice) File.Delete(Temporary);
            }
            catch (Exception again) when (again is IOException or UnauthorizedAccessException) { }
            throw new OutputException($"--out: cannot write '{Path}': {Cause(e)}", exitCode);
        }
    }

    private static string Cause(Exception e) => e is UnauthorizedAccessException ? "permission denied"
        : (e.HResult & 0xffff) switch { 28 => "no space left on the device", 30 => "the file system is read-only", 36 => "the name is too long", _ => e.Message.TrimEnd('.') };
}

/// <summary>The result cannot be written: exit 3 when that was found before measuring, 1 afterwards.</summary>
internal sealed class OutputException(string message, int exitCode) : Exception(message)
{
    public int ExitCode { get; } = exitCode;
}
