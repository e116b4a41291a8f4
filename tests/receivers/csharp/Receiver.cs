using System;
using System.Collections.Generic;
using System.Text;

/// Shows requests to the code for C#: reads a case a line, and answers for each whether its code takes it.
public static class Receiver
{
    /// What the clock shows.
    public static DateTimeOffset Now;

    public static void Main()
    {
        for (string line = Console.ReadLine(); line != null; line = Console.ReadLine())
        {
            // The code's number, the second that it is, the body, and the headers.
            string[] words = line.Split(' ');
            Now = DateTimeOffset.FromUnixTimeSeconds(long.Parse(words[1]));
            var headers = new Dictionary<string, string>();
            for (int i = 3; i < words.Length; i++)
            {
                string[] parts = words[i].Split(new[] { ':' }, 2);
                headers[parts[0]] = Encoding.UTF8.GetString(Convert.FromBase64String(parts[1]));
            }
            // null where there is none, as in most libraries.
            Func<string, string> header = name => headers.TryGetValue(name, out string value) ? value : null;
            byte[] body = Convert.FromBase64String(words[2]);
            object taken = Type.GetType("of_" + words[0] + ".Webhook").GetMethod("Verify").Invoke(null, new object[] { header, body });
            Console.WriteLine((bool)taken ? "true" : "false");
        }
    }
}
